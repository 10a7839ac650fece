"""LiveKit in memory, for tests: rooms with participants, dispatches that bring an agent or don't."""

from __future__ import annotations

from dataclasses import dataclass, field

from switchboard.clock import Clock
from switchboard.errors import Unavailable

from call_orchestrator.adapters.livekit import Participant, Room


@dataclass(slots=True)
class FakeRoom:
    room: Room
    participants: list[Participant] = field(default_factory=list)


class FakeMedia:
    """Keeps the promises of :class:`call_orchestrator.adapters.livekit.Media`.

    ``free_agents`` is how many dispatches bring an agent into the room; ``away`` makes every request fail.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rooms: dict[str, FakeRoom] = {}
        self.free_agents = 0
        self.away = False
        self.dispatched: list[str] = []
        self.deleted: list[str] = []

    # -- what happens in the world ----------------------------------------------------------------------------------

    def ring(self, sid: str, attributes: dict[str, str] | None = None) -> str:
        """A SIP leg opens a room; the room's name."""
        name = f"room-{sid}"
        leg = Participant("sip", attributes or {})
        self._rooms[name] = FakeRoom(Room(sid, name, self._clock.now()), [leg])
        return name

    def join_agent(self, sid: str) -> None:
        self._rooms[f"room-{sid}"].participants.append(Participant("agent", {}))

    def leave(self, sid: str, kind: str) -> None:
        found = self._rooms[f"room-{sid}"]
        found.participants = [participant for participant in found.participants if participant.kind != kind]

    def close(self, sid: str) -> None:
        self._rooms.pop(f"room-{sid}", None)

    # -- Media ------------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("LiveKit does not answer")

    async def rooms(self) -> list[Room]:
        self._answer()
        return [found.room for found in self._rooms.values()]

    async def participants(self, room_name: str) -> list[Participant] | None:
        self._answer()
        found = self._rooms.get(room_name)
        return None if found is None else list(found.participants)

    async def dispatch(self, room_name: str) -> None:
        self._answer()
        self.dispatched.append(room_name)
        found = self._rooms.get(room_name)
        if found is not None and self.free_agents > 0:
            self.free_agents -= 1
            found.participants.append(Participant("agent", {}))

    async def delete_room(self, room_name: str) -> None:
        self._answer()
        self.deleted.append(room_name)
        self._rooms.pop(room_name, None)
