"""Whether a webhook really comes from our LiveKit: checked over the bytes as they came, before they are parsed."""

from __future__ import annotations

import jwt
import structlog
from google.protobuf.json_format import ParseError
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.webhook import WebhookEvent
from switchboard.errors import InvalidInput, NotAuthenticated

_log = structlog.get_logger(__name__)


class LiveKitVerifier:
    """One API key's webhooks: HS256 only, our key as issuer, an expiry, and the SHA-256 of the body."""

    def __init__(self, api_key: str, api_secret: str) -> None:
        if not api_key or not api_secret:
            # livekit-api would go on to look for them in the environment.
            raise ValueError("a LiveKit API key and its secret are needed to verify webhooks")
        self._receiver = WebhookReceiver(TokenVerifier(api_key, api_secret))

    def verify(self, body: bytes, authorization: str | None) -> WebhookEvent:
        """The event. :class:`NotAuthenticated` for whatever LiveKit did not sign, :class:`InvalidInput` when what it
        signed can't be read."""
        if not authorization:
            raise NotAuthenticated("a LiveKit webhook carries a signed token in the header authorization")
        try:
            # Strict UTF-8 decodes one to one, so the hash that is checked is that of the raw bytes.
            text = body.decode("utf-8")
            return self._receiver.receive(text, authorization.removeprefix("Bearer "))
        except ParseError:
            raise InvalidInput("the signed body is not a LiveKit webhook event") from None
        except jwt.PyJWTError as error:
            reason = type(error).__name__
        except Exception as error:
            reason = type(error).__name__
        _log.warning("webhook refused", reason=reason)
        raise NotAuthenticated("the token of this webhook is not valid for its body")
