"""A made-up call for the page's tests: an answer, an interruption, a fault, a question that leaves no turn, hostile text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from fleet.api import Call, CallRecord, Timings, Turn
from fleet.api_models import Fault, Hypothesis, PassageUsed
from fleet.call import CallOutcome
from fleet.dialogue import Exchange
from fleet.judge import Interruption, Ranked, Verdict
from fleet.page.story import Facts
from fleet.questions import Expected, Question
from fleet.speech import RATE, Samples
from fleet.tap import Track
from fleet.voice_activity import FRAME, FRAME_SECONDS

BEGAN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SECONDS = 24.0
OFFSET = BEGAN.timestamp() - 1000.0
"""The caller's clock stands at 1000 when the recording begins."""
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">&amp;"
FACTS = Facts(
    clinic=f"Milford Clinic {HOSTILE}", number="+15550001111", seed=7, sip="the SIP node in LiveKit SIP's place"
)

SPOKEN = {
    "caller": ((3.0, 4.8), (9.5, 11.0), (15.0, 17.5), (20.5, 22.0)),
    "agent": ((0.8, 2.4), (5.9, 8.4), (12.1, 15.6)),
}
"""Who speaks when, in seconds of the recording; the caller's third stretch interrupts the agent."""


def speech(stretches: tuple[tuple[float, float], ...], pitch: float) -> Samples:
    """A tone in the place of a voice."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    loud = np.zeros(time.size)
    for start, end in stretches:
        loud[(time >= start) & (time < end)] = 1.0
    tone = 6000 * np.sin(2 * np.pi * pitch * time) * (0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time))
    return (tone * loud).astype(np.int16)


def track(name: str, samples: Samples) -> Track:
    """The recording as the tap would have read it."""
    found = Track(name)
    data = samples.astype("<i2").tobytes()
    for index in range(samples.size // FRAME):
        found.feed(data[index * FRAME * 2 : (index + 1) * FRAME * 2], 1000.0 + index * FRAME_SECONDS)
    return found


def timings(**seconds: float) -> Timings:
    """Marks at these seconds of the recording; the others are missing."""
    marks = {name: BEGAN + timedelta(seconds=value) for name, value in seconds.items()}
    return Timings.model_validate(dict.fromkeys(Timings.model_fields) | marks)


def passage(text: str, cited: bool, heading: str) -> PassageUsed:
    return PassageUsed(
        passage_id="p",
        document_id="d",
        document_name=f"Price list {HOSTILE}",
        heading=heading,
        text=text,
        score=0.82 if cited else 0.41,
        cited=cited,
    )


def turns() -> list[Turn]:
    """Greeting, an answer with sources and a fault, a long answer that is interrupted."""
    common = {"caller_said": [], "passages": [], "interrupted": False, "faults": []}
    greeting = f"{FACTS.clinic}, how can I help you?"
    long = "Please call us at least 24 hours before, because otherwise we have to charge half of the price."
    return [
        Turn.model_validate(
            common
            | {"turn": 0, "kind": "greeting", "agent_said": greeting, "caller_heard": greeting}
            | {"timings": timings(first_audio=0.8, speech_stopped=2.4)}
        ),
        Turn.model_validate(
            common
            | {"turn": 1, "kind": "answered", "agent_said": "Amber peel costs 129 dollars."}
            | {"caller_heard": "Amber peel costs 129 dollars."}
            | {
                "caller_said": [
                    Hypothesis(text=HOSTILE, confidence=0.81),
                    Hypothesis(text="amber feel", confidence=0.4),
                ]
            }
            | {
                "passages": [
                    passage("Opening hours", False, "Hours"),
                    passage(f"Amber peel $129 {HOSTILE}", True, HOSTILE),
                ]
            }
            | {"faults": [Fault(stage="stt", endpoint="ear-one", fault="timeout", served_by="offline")]}
            | {"timings": timings(speech_started=3.0, speech_ended=4.8, end_of_turn=5.3, transcript=5.35)}
        ),
        Turn.model_validate(
            common
            | {"turn": 2, "kind": "answered", "agent_said": long, "caller_heard": long[:52], "interrupted": True}
            | {"caller_said": [Hypothesis(text="can i cancel my appointment", confidence=0.9)]}
            | {"timings": timings(speech_started=9.5, speech_ended=11.0, first_audio=12.1, speech_stopped=15.6)}
        ),
    ]


def exchanges() -> list[Exchange]:
    """A right answer; one to the interruption that left no turn and was wrong."""
    start = BEGAN.timestamp()
    expected = Expected("129 dollars", ("139 dollars",))
    ranked = (
        Ranked("Amber peel costs 129 dollars.", 0.113, 1.01),
        Ranked("Amber peel costs 139 dollars.", 0.182, 1.02),
    )
    first = Question("a price, in the PDF only", "how much is the amber peel", expected)
    second = Question("a price, interrupting the agent", f"excuse me {HOSTILE}", expected)
    wrong = Verdict(False, f"it sounds like {HOSTILE!r} instead", ranked, 0.02)
    return [
        Exchange(first, first.said, 0, start + 4.8, start + 5.9, "Amber peel costs", Verdict(True, "", ranked, 0.069)),
        Exchange(second, second.said, 1, start + 22.0, None, HOSTILE, wrong, Interruption(True, "", 0.61)),
    ]


def sample(*, record: bool = True, sound: bool = True) -> CallOutcome:
    """The call, with or without its record and its sound."""
    call = Call(
        call_id="0198c5a0-0000-7000-8000-000000000001",
        state="ended",
        caller="+15557777777",
        dialled=FACTS.number,
        started_at=BEGAN,
        answered_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=SECONDS),
        end_reason="caller_hung_up",
        outcome="talk",
        configuration_version=1,
        turns=3,
    )
    empty: Samples = np.zeros(0, dtype=np.int16)
    sides = {side: speech(SPOKEN[side], pitch) if sound else empty for side, pitch in (("caller", 180), ("agent", 260))}
    return CallOutcome(
        exchanges=exchanges(),
        record=CallRecord(call=call, turns=turns()) if record else None,
        recording=None,
        answered_after=0.3,
        greeting_after=0.8,
        heard=track("heard", sides["agent"]),
        said=track("said", sides["caller"]),
        offset=OFFSET,
    )
