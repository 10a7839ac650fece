"""What the operator's face takes and gives."""

from __future__ import annotations

from pydantic import Field

from emulators.behaviour import Behaviour, Fault, Strict
from emulators.record import Asked


class Words(Strict):
    """What the ear shall know: the clinic's documents as text, its name and those of its places."""

    texts: tuple[str, ...]
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class NewVoice(Strict):
    """A voice id of the account and the espeak-ng voice that it sounds like. `speed`: words a minute."""

    id: str = Field(min_length=1)
    voice: str = "en-us"
    speed: int = Field(default=155, ge=80, le=400)
    pitch: int = Field(default=50, ge=0, le=99)


class FaceState(Strict):
    """`left`: the faults that will still strike."""

    behaviour: Behaviour
    left: tuple[Fault, ...]
    asked: Asked
