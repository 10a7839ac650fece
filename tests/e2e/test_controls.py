"""The judge's controls: what passes the demo must fail when the fleet has a fault, and say what was wrong.

Each fault is real: it is switched on in the running fleet (see `fleet.faults`) once the agent has greeted. The call is
made and judged by the code of the demo; only what is asked is less.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import fleet.call
import pytest
from fleet.api import ApiError, SwitchboardApi
from fleet.call import CallOutcome, agent_judge, judged_call
from fleet.dialogue import Exchange, Script
from fleet.draw import Clinic, Entry, Topic
from fleet.e2e import RunningFleet
from fleet.faults.line import Line, LineFault, line
from fleet.faults.rows import cross_numbers, left_behind, other_price
from fleet.judge import Flaw, Judge
from fleet.onboarding import AGENT_VOICE
from fleet.questions import Expected, Question, dollars, mentions, questions
from fleet.rivals import draw_rivals, rival_questions
from fleet.speech import Synthesizer

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(300)]

SEED = 20261
PRICE, RULE, ABSENT, INTERRUPTING = range(4)

Fault = Callable[[Line], AbstractContextManager[None]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return agent_judge(Synthesizer(tmp_path / "judge"), AGENT_VOICE)


def demo_question(clinic: Clinic, which: int) -> Question:
    """One of the four that the demo asks this clinic."""
    return questions(clinic, random.Random(clinic.seed + 1))[which]


def expected_of(question: Question) -> Expected:
    assert isinstance(question.expected, Expected)
    return question.expected


def no_fault(_: Line) -> AbstractContextManager[None]:
    return nullcontext()


async def faulty_call(
    fleet: RunningFleet, api: SwitchboardApi, clinic: Clinic, judge: Judge, question: Question, fault: Fault, flaw: Flaw
) -> CallOutcome:
    """A call in which one thing is asked while the fault is on, repeated as the demo does until the flaw shows.

    The ear may miss a whole call, as in the demo: then there is a second one. A right answer is never tried again.
    """

    def shown(exchange: Exchange) -> bool:
        # A question back that can't be heard is silence too, but not the control: the answer itself must be lost.
        lost = flaw not in (Flaw.SILENCE, Flaw.PIECE) or mentions(exchange.text, expected_of(question).fact)
        return exchange.verdict.ok or (exchange.verdict.flaw is flaw and lost)

    outcome = await call_with(fleet, api, clinic, judge, Script((question,), enough=shown), fault)
    if not any(shown(exchange) for exchange in outcome.exchanges):
        outcome = await call_with(fleet, api, clinic, judge, Script((question,), enough=shown), fault)
    return outcome


async def call_with(
    fleet: RunningFleet, api: SwitchboardApi, clinic: Clinic, judge: Judge, script: Script, fault: Fault
) -> CallOutcome:
    """One call over a line of its own; the fault begins before the first question and ends with the call."""
    sip = fleet.layout.sip
    async with line((sip.host, sip.port), fleet.ports) as way:
        with ExitStack() as switched:

            async def before(_: Question) -> None:
                switched.enter_context(fault(way))

            played = replace(script, before=before)
            return await judged_call(api, clinic, fleet.place(way), judge, fleet.view, played)


def check_failed(outcome: CallOutcome, flaw: Flaw, complaint: str) -> Exchange:
    """The call is a failed demo, at no time was the answer right, and the last verdict says what was wrong."""
    assert not any(exchange.verdict.ok for exchange in outcome.exchanges)
    last = outcome.exchanges[-1]
    assert last.verdict.flaw is flaw, last.verdict
    assert [found for found in outcome.complaints() if complaint in found], outcome.complaints()
    return last


async def test_without_a_fault_the_demos_call_passes(running_fleet: RunningFleet, judge: Judge) -> None:
    """The same fleet, with everything in its place that the faults need: their program, and the relay on the line."""
    async with running_fleet.clinic(SEED) as (api, clinic):
        sip = running_fleet.layout.sip
        async with line((sip.host, sip.port), running_fleet.ports) as way:
            outcome = await running_fleet.good_call(api, clinic, judge, way)
    assert outcome.complaints() == []
    assert way.lost == 0


async def test_a_muted_voice_fails_as_silence(running_fleet: RunningFleet, judge: Judge) -> None:
    """The agent believes that it has said the right price."""
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, PRICE)
        fault: Fault = lambda _: running_fleet.voice.muted()  # noqa: E731 - the signature of all faults
        outcome = await faulty_call(running_fleet, api, clinic, judge, question, fault, Flaw.SILENCE)
    last = check_failed(outcome, Flaw.SILENCE, "nothing was heard")
    assert mentions(last.text, expected_of(question).fact)


async def test_silence_on_the_line_fails(running_fleet: RunningFleet, judge: Judge) -> None:
    """One-way audio: the agent speaks, and nothing arrives."""
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, RULE)
        lost: list[int] = []

        @contextmanager
        def one_way(way: Line) -> Iterator[None]:
            with way.broken(LineFault.ONE_WAY):
                yield
            lost.append(way.lost)

        outcome = await faulty_call(running_fleet, api, clinic, judge, question, one_way, Flaw.SILENCE)
    check_failed(outcome, Flaw.SILENCE, "nothing was heard")
    assert lost[-1] > 0


async def test_half_a_sentence_fails(running_fleet: RunningFleet, judge: Judge) -> None:
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, PRICE)
        fault: Fault = lambda _: running_fleet.voice.halved()  # noqa: E731 - the signature of all faults
        outcome = await faulty_call(running_fleet, api, clinic, judge, question, fault, Flaw.PIECE)
    last = check_failed(outcome, Flaw.PIECE, "times as long")
    assert mentions(last.text, expected_of(question).fact)


async def test_another_price_said_fails_though_the_words_are_right(running_fleet: RunningFleet, judge: Judge) -> None:
    """Only the sound is wrong: whoever believes the reported words is fooled."""
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, PRICE)
        price = price_of(clinic, question)
        fault: Fault = lambda _: running_fleet.voice.saying(str(price + 10), str(price))  # noqa: E731 - as above
        outcome = await faulty_call(running_fleet, api, clinic, judge, question, fault, Flaw.OTHER)
    last = check_failed(outcome, Flaw.OTHER, "sounds like")
    assert mentions(last.text, dollars(price))
    assert mentions(last.verdict.heard, dollars(price + 10))


async def test_another_price_in_the_index_fails(running_fleet: RunningFleet, judge: Judge) -> None:
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, PRICE)
        price = price_of(clinic, question)
        prices = await document_id(api, "Price list")
        async with other_price(running_fleet.database, prices, price + 10, instead_of=price):
            outcome = await faulty_call(running_fleet, api, clinic, judge, question, no_fault, Flaw.OTHER)
    last = check_failed(outcome, Flaw.OTHER, "sounds like")
    assert mentions(last.verdict.heard, dollars(price + 10))


def price_of(clinic: Clinic, question: Question) -> int:
    return next(one.price for one in clinic.treatments if one.name == question.subject)


async def document_id(api: SwitchboardApi, name: str) -> UUID:
    found = await api.list_documents()
    return next(UUID(one.document_id) for one in found.documents if one.name == name)


async def test_an_answer_that_no_document_gives_fails(running_fleet: RunningFleet, judge: Judge) -> None:
    """A passage stayed in the index when its document was deleted, so the agent answers what it should not know."""
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, ABSENT)
        entry = Entry(clinic.absent, clinic.absent.values[1])
        leaflet = await api.upload_document("leaflet.txt", f"{entry.topic.question}\n{entry.answer}\n".encode())
        await api.wait_document(leaflet.document_id)
        faq = await document_id(api, "Frequently asked questions")
        async with left_behind(running_fleet.database, UUID(leaflet.document_id), kept_by=faq):
            await api.delete_document(leaflet.document_id)
            outcome = await faulty_call(running_fleet, api, clinic, judge, question, no_fault, Flaw.INVENTED)
        names = [one.name for one in (await api.list_documents()).documents]
    assert "leaflet.txt" not in names
    last = check_failed(outcome, Flaw.INVENTED, "it answers with")
    assert told_about(clinic.absent, last.text)


def told_about(topic: Topic, text: str) -> bool:
    return mentions(text, topic.values[1])


async def test_an_agent_that_goes_on_when_interrupted_fails(running_fleet: RunningFleet, judge: Judge) -> None:
    """A half-duplex line: while the agent speaks, it can't hear the caller, so it never stops."""
    async with running_fleet.clinic(SEED) as (api, clinic):
        question = demo_question(clinic, INTERRUPTING)
        fault: Fault = lambda way: way.broken(LineFault.HALF_DUPLEX)  # noqa: E731 - the signature of all faults
        script = Script((question,))
        outcome = await call_with(running_fleet, api, clinic, judge, script, fault)
    [kept] = [exchange.interruption for exchange in outcome.exchanges if exchange.interruption is not None]
    assert not kept.ok
    assert "interruption: the agent went on until the caller had finished" in outcome.complaints()


async def test_the_other_clinics_answer_fails(
    running_fleet: RunningFleet, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clinics' numbers changed places in what is published: the caller of one reaches the other."""
    # There will be no record: the call is the other clinic's.
    monkeypatch.setattr(fleet.call, "RECORD_TIMEOUT", 2.0)
    first, second = draw_rivals(SEED + 1)
    async with (
        running_fleet.clinic(SEED + 1, drawn=first) as (api, own),
        running_fleet.clinic(SEED + 1, drawn=second) as (other_api, other),
    ):
        question = rival_questions(own, other, random.Random(SEED))[0]
        await cross_numbers(running_fleet.database, own.number, other.number)
        try:
            await in_force(api, other.number)
            await in_force(other_api, own.number)
            outcome = await faulty_call(running_fleet, api, own, judge, question, no_fault, Flaw.OTHER)
        finally:
            await cross_numbers(running_fleet.database, own.number, other.number)
            await in_force(api, own.number)
            await in_force(other_api, other.number)
    last = check_failed(outcome, Flaw.OTHER, "sounds like")
    foreign = next(one.price for one in other.treatments if one.name == question.subject)
    assert mentions(last.verdict.heard, dollars(foreign))
    assert "the API has no record of the call" in outcome.complaints()


async def in_force(api: SwitchboardApi, number: str) -> None:
    """Publishes, and waits until this clinic is called by this number."""
    await api.publish()
    async with asyncio.timeout(20):
        while True:
            try:
                await api.preview(number)
            except ApiError:
                # Not a published number of this clinic yet.
                await asyncio.sleep(0.05)
            else:
                return
