"""What every protocol needs: the key, behaviours, the record, and where time and chance come from."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

from switchboard.clock import Clock

from emulators.behaviour import Behaviours
from emulators.record import Record


@dataclass(frozen=True)
class Context:
    """Shared by the protocols of one process. `key` is every provider's API key."""

    key: str
    behaviours: Behaviours
    record: Record
    clock: Clock
    rng: random.Random

    def name(self, length: int = 24) -> str:
        """A made-up id."""
        return "".join(self.rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))

    def uuid(self) -> str:
        """A made-up UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    @property
    def created(self) -> int:
        """Seconds since 1970, as OpenAI's ``created``."""
        return int(self.clock.now().timestamp())
