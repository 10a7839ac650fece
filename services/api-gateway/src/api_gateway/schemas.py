"""What the public shapes are made of. They are ours to keep stable; the contracts behind them may change."""

from __future__ import annotations

import re
from datetime import date, time
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from switchboard.bus.envelope import invalid_input
from switchboard.contracts.base import Contract
from switchboard.contracts.snapshot import known_time_zone

ContractT = TypeVar("ContractT", bound=Contract)

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f]")


class Form(BaseModel):
    """What a customer sends. Unknown fields are refused, so that a misspelt one is not silently a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def to(self, contract: type[ContractT], **more: object) -> ContractT:
        """As the contract behind it, with ``more`` that the customer did not write there.

        What that refuses is the customer's input too, so it is answered like ours.
        """
        try:
            return contract.model_validate(self.model_dump() | more)
        except ValidationError as error:
            raise invalid_input(error, "the request") from None


class Shape(BaseModel):
    """What a customer gets."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @classmethod
    def of(cls, contract: ContractT) -> Self:
        """From the contract behind it; sealed text becomes plain text."""
        return cls.model_validate(contract.model_dump())


class FaultShape(Shape):
    """A provider failed. ``served_by`` is who did its work instead, ``offline`` for the offline pipeline; ``null`` when
    nobody could (of embeddings: what was found was found by its words alone). Values of ``stage`` and ``fault`` may grow."""

    stage: str
    endpoint: str
    fault: str
    served_by: Annotated[str | None, BeforeValidator(lambda value: value or None)]


def refuse(code: str, message: str, fix: str) -> PydanticCustomError:
    """An error that brings its fix along."""
    return PydanticCustomError(code, "{message}", {"message": message, "fix": fix})


def _line(value: str) -> str:
    if _CONTROL_OR_BREAK.search(value):
        raise refuse("control_character", "line breaks and control characters can't be here", "remove them")
    return value.strip()


def _text(value: str) -> str:
    if _CONTROL.search(value):
        raise refuse("control_character", "control characters can't be here", "remove them")
    return value


def _number(value: str) -> str:
    if _NUMBER.fullmatch(value) is None:
        raise refuse(
            "phone_number", "not a phone number in E.164 form", "write + and country code, digits only: +34910000000"
        )
    return value


def _email(value: str) -> str:
    if _EMAIL.fullmatch(value) is None:
        raise refuse("email", "not an e-mail address", "send one such as office@clinic.example")
    return value


def _language(value: str) -> str:
    if _LANGUAGE.fullmatch(value) is None:
        raise refuse("language", "not a language tag", "send a BCP 47 tag such as en or es-MX")
    return value


def _zone(value: str) -> str:
    try:
        return known_time_zone(value)
    except ValueError:
        raise refuse("time_zone", "not a time zone", "send an IANA time zone such as Europe/Madrid") from None


def _time(value: Any) -> Any:
    # pydantic would also take numbers and times with an offset, which can't be compared with those without.
    if isinstance(value, time) or (isinstance(value, str) and _TIME.fullmatch(value)):
        return value
    raise refuse("local_time", "not a time of day", "send hours and minutes in local time such as 09:30")


def _date(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise refuse("date", "not a date", "send a date such as 2026-12-25")


Line = Annotated[str, AfterValidator(_line)]
Text = Annotated[str, AfterValidator(_text)]
PhoneNumber = Annotated[str, StringConstraints(max_length=16), AfterValidator(_number)]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(_email)]
Language = Annotated[str, StringConstraints(max_length=35), AfterValidator(_language)]
TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
LocalTime = Annotated[
    time,
    BeforeValidator(_time),
    PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["09:30"]}),
]
Day = Annotated[date, BeforeValidator(_date)]

__all__ = [
    "AwareDatetime",
    "Day",
    "Email",
    "FaultShape",
    "Form",
    "Language",
    "Line",
    "LocalTime",
    "PhoneNumber",
    "Shape",
    "Text",
    "TimeZone",
    "refuse",
]
