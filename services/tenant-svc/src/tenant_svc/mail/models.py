"""A mail, and what sends it."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict
from switchboard.errors import SwitchboardError


class Mail(BaseModel):
    """Plain text to one address."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    to: str
    subject: str
    text: str


class MailRefused(SwitchboardError):
    """The mail server does not take this mail, and never will; ``detail`` is its code."""

    code = "mail-refused"
    status = 502
    title = "The mail server refused it"


class Mailer(Protocol):
    """Sends one mail. :class:`MailRefused` for good; ``Unavailable`` when trying again may help."""

    async def send(self, mail: Mail) -> None: ...
