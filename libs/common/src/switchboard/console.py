"""Where people meet us: the address of the console, which links in mails lead to and browsers' requests come from."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from switchboard.settings import Fragment


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise ValueError("must be an origin such as https://console.example, without a path")
    return f"{parts.scheme}://{parts.netloc}".lower()


class ConsoleSettings(Fragment):
    """The console, served from the same origin as the API."""

    url: Annotated[str, AfterValidator(_origin)] = Field(description="its origin, e.g. https://console.example")
