"""The operator's face: JSON over HTTP on a port of its own, loopback only."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from aiohttp import web
from pydantic import ValidationError
from voice_agent.offline.voice import VoiceSettings

from emulators.admin_models import FaceState, NewVoice, Words
from emulators.behaviour import FACES, Behaviour, Behaviours, Face, Strict
from emulators.hearing import Hearing, TeachingFailed
from emulators.record import Record
from emulators.speech import Voices

S = TypeVar("S", bound=Strict)


class Admin:
    """Sets behaviours and tells what was asked."""

    def __init__(self, behaviours: Behaviours, record: Record, hearing: Hearing, voices: Voices) -> None:
        self._behaviours = behaviours
        self._set = {face: Behaviour() for face in FACES}
        self._record = record
        self._hearing = hearing
        self._voices = voices

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health),
            web.get("/faces/{face}", self.state),
            web.put("/faces/{face}", self.behave),
            web.delete("/faces", self.calm),
            web.delete("/requests", self.forget),
            web.put("/words", self.teach),
            web.post("/voices", self.add_voice),
        ]

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "faces": list(FACES)})

    async def state(self, request: web.Request) -> web.Response:
        """A face's behaviour, the faults that are left of it, and what it was asked."""
        face = _face(request)
        left = tuple(self._behaviours.left(face))
        state = FaceState(behaviour=self._set[face], left=left, asked=self._record.asked(face))
        return web.json_response(state.model_dump(mode="json"))

    async def behave(self, request: web.Request) -> web.Response:
        """Replaces a face's behaviour."""
        face = _face(request)
        self._set[face] = behaviour = await _read(request, Behaviour)
        self._behaviours.set(face, behaviour)
        return web.Response(status=204)

    async def calm(self, _: web.Request) -> web.Response:
        """Every face behaves well again."""
        self._behaviours.reset()
        self._set = {face: Behaviour() for face in FACES}
        return web.Response(status=204)

    async def forget(self, _: web.Request) -> web.Response:
        """Counts from nothing."""
        self._record.forget()
        return web.Response(status=204)

    async def teach(self, request: web.Request) -> web.Response:
        """Answers when connections made from now on know the words (about a second)."""
        words = await _read(request, Words)
        try:
            await self._hearing.teach(words.texts, words.names, words.places)
        except TeachingFailed as error:
            return web.json_response({"error": str(error)}, status=500)
        return web.Response(status=204)

    async def add_voice(self, request: web.Request) -> web.Response:
        new = await _read(request, NewVoice)
        self._voices.add(new.id, VoiceSettings(new.voice, new.speed, new.pitch))
        return web.Response(status=204)


def _bad(status: type[web.HTTPException], message: str) -> web.HTTPException:
    return status(text=json.dumps({"error": message}), content_type="application/json")


def _face(request: web.Request) -> Face:
    wanted = request.match_info["face"]
    for face in FACES:
        if face == wanted:
            return face
    raise _bad(web.HTTPNotFound, f"no face {wanted!r}; there are {', '.join(FACES)}")


async def _read(request: web.Request, model: type[S]) -> S:
    try:
        raw: Any = json.loads(await request.read())
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _bad(web.HTTPUnprocessableEntity, f"{place}: {first['msg']}") from None
    except ValueError:
        raise _bad(web.HTTPUnprocessableEntity, "the body is not JSON") from None
