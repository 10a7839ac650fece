"""What the call's page says, without a browser."""

import re
import struct
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from fleet.call import CallOutcome
from fleet.page import chosen, write_page
from fleet.page.markup import tag
from fleet.page.sample import BEGAN, FACTS, HOSTILE, OFFSET, SECONDS, exchanges, sample, speech, track
from fleet.page.sound import laid_out, sound_of
from fleet.page.story import tell
from fleet.speech import RATE
from fleet.tap import Track
from fleet.view import stages, turn_of
from fleet.voice_activity import FRAME, FRAME_SECONDS
from sip_node.rtp.g711 import ULAW

pytestmark = pytest.mark.unit


def page(folder: Path, outcome: CallOutcome) -> str:
    return write_page(folder / "call.html", outcome, FACTS).read_text()


def body(text: str) -> str:
    """Without style and script."""
    return re.sub(r"(?s)<(style|script)>.*?</\1>", "", text)


def test_text_is_escaped_wherever_it_stands() -> None:
    assert tag("p", "<b>&", title='"><i>')[0] == '<p title="&quot;&gt;&lt;i&gt;">&lt;b&gt;&amp;</p>'
    assert tag("p", tag("b", "<"), None, "x")[0] == "<p><b>&lt;</b>x</p>"
    assert tag("input", checked=True, disabled=False, name=None, data_at=1.5)[0] == '<input checked data-at="1.5">'


def test_nothing_of_a_document_or_a_caller_becomes_markup(tmp_path: Path) -> None:
    text = page(tmp_path, sample())
    assert text.count("<script") == text.count("</script") == 1
    assert "<img" not in text
    assert text.count("&lt;/script&gt;&lt;script&gt;") >= 6


def test_the_page_names_no_address_outside_itself(tmp_path: Path) -> None:
    text = page(tmp_path, sample())
    found = re.findall(r'\b(?:src|href|action|srcset|poster)="([^"]*)"', body(text))
    assert found
    assert [value[:40] for value in found if not value.startswith(("data:", "#"))] == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", text)
    assert "default-src 'none'" in text
    assert "unsafe" not in text


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    assert write_page(tmp_path / "call.html", sample(), FACTS).stat().st_mode & 0o777 == 0o600


def test_the_recording_is_stereo_mu_law_of_what_passed() -> None:
    found = tell(sample(), FACTS).sound
    data = found.wav()
    assert data[:4] + data[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack_from("<HHIIHH", data, 20) == (7, 2, RATE, 2 * RATE, 2, 8)
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    samples = ULAW.decode(data[data.index(b"data") + 8 :]).reshape(-1, 2)
    assert samples.shape == (round(SECONDS * RATE), 2)
    assert np.array_equal(samples[:, 0], ULAW.decode(ULAW.encode(found.caller)))
    assert np.array_equal(samples[:, 1], ULAW.decode(ULAW.encode(found.agent)))


def frames(times: list[float]) -> Track:
    found = Track("heard")
    for number, time in enumerate(times, 1):
        found.feed(np.full(FRAME, number, dtype="<i2").tobytes(), time)
    return found


def test_a_pause_without_packets_is_silence_in_the_recording() -> None:
    track = frames([10.0, 10.02, 10.54, 10.56])
    laid = laid_out(track, 10.0)
    assert laid.size == round(0.58 * RATE)
    assert not laid[2 * FRAME : round(0.54 * RATE)].any()
    assert laid[round(0.54 * RATE)] == 3


def test_a_late_look_at_the_file_makes_no_pause() -> None:
    times = [10.0 + i * FRAME_SECONDS for i in range(10)]
    late = [time if time < 10.05 else max(time, 10.16) for time in times]
    assert laid_out(frames(late), 10.0).size == 10 * FRAME


def test_both_sides_stand_where_they_were_on_one_clock() -> None:
    said, heard = frames([5.0, 5.02]), frames([5.5, 5.52])
    sound = sound_of(said, heard)
    assert sound.began == 5.0
    assert sound.agent[: round(0.5 * RATE)].any() == False  # noqa: E712  (numpy's)
    assert sound.agent[round(0.5 * RATE)] == 1
    assert sound.seconds == pytest.approx(0.54)


def test_turns_and_marks_are_the_records(tmp_path: Path) -> None:
    story = tell(sample(), FACTS)
    assert [moment.label for moment in story.moments] == ["0", "1", "2", ""]
    marks = [
        (m.label, one.whose, round(one.start, 3), round(one.end, 3), one.cut) for m in story.moments for one in m.marks
    ]
    assert marks == [
        ("0", "agent", 0.8, 2.4, False),
        ("1", "caller", 3.0, 4.8, False),
        ("2", "caller", 9.5, 11.0, False),
        ("2", "agent", 12.1, 15.6, True),
    ]


def test_the_waterfall_has_the_terminals_numbers(tmp_path: Path) -> None:
    outcome = sample()
    first = exchanges()[0]
    assert outcome.record is not None
    text = body(page(tmp_path, outcome))
    for label, seconds in stages(first, turn_of(first, outcome.record)):
        number = "–" if seconds is None else f"{seconds * 1000:.0f}"
        assert f'<th scope="row">{label}</th><td>{number}</td>' in text


def test_a_turn_nobody_measured_counts_from_the_sound() -> None:
    turn = tell(sample(), FACTS).moments[2]
    assert turn.by_ear
    # The sound ends at 11.0 and begins at 12.1, whatever the agent marked.
    assert dict(turn.stages)["heard by caller"] == pytest.approx(1.1, abs=0.03)


def test_an_earlier_mark_doesnt_move_a_question_that_was_heard_later() -> None:
    outcome = sample()
    assert outcome.record is not None
    first = outcome.record.turns[1]
    early = first.timings.model_copy(update={"speech_started": BEGAN + timedelta(seconds=0.2)})
    outcome.record.turns[1] = first.model_copy(update={"timings": early})
    assert [round(moment.start, 1) for moment in tell(outcome, FACTS).moments] == [0.8, 3.0, 9.5, 20.5]


def test_an_answer_nobody_interrupted_is_cut_off(tmp_path: Path) -> None:
    outcome = sample()
    assert 'class="cut"' in body(page(tmp_path, outcome))
    outcome.said = track("said", speech(((3.0, 4.8),), 180))
    assert 'class="cut off"' in body(page(tmp_path, outcome))


def test_what_was_not_heard_is_struck_through(tmp_path: Path) -> None:
    assert "because oth<del>erwise we have to charge half of the price.</del>" in page(tmp_path, sample())


def test_the_cited_passage_stands_first_and_marked(tmp_path: Path) -> None:
    text = page(tmp_path, sample())
    assert text.count('class="passage cited"') == 1
    assert text.index("Amber peel $129") < text.index("Opening hours")


def test_faults_verdicts_and_readings_are_shown(tmp_path: Path) -> None:
    text = page(tmp_path, sample())
    assert "STT ear-one" in text
    assert "offline did it instead" in text
    assert "amber feel" in text
    assert "1 of 2 answers were right" in text
    assert "Amber peel costs 139 dollars." in text


@pytest.mark.parametrize(("record", "sound"), [(False, True), (True, False), (False, False)])
def test_a_page_is_written_of_whatever_there_is(record: bool, sound: bool, tmp_path: Path) -> None:
    text = page(tmp_path, sample(record=record, sound=sound))
    assert ("the API has no record of it" in text) is not record
    assert ("No sound passed" in text) is not sound
    assert HOSTILE not in text


def test_a_call_that_broke_says_why(tmp_path: Path) -> None:
    outcome = sample()
    outcome.exchanges.clear()
    outcome.broke = "the agent answered the call but didn't say anything"
    text = page(tmp_path, outcome)
    assert "No question was answered." in text
    assert "the agent answered the call but didn&#x27;t say anything" in text


def test_the_sample_stands_on_the_callers_clock() -> None:
    heard = track("heard", speech(((1.0, 2.0),), 200))
    assert heard.utterances()[0].start == pytest.approx(1001.0, abs=0.03)
    assert tell(sample(), FACTS).began == pytest.approx(1000.0 + OFFSET)


def test_the_page_names_what_each_stage_ran_on() -> None:
    assert chosen(None) == FACTS.providers
    found = dict(chosen({"stt": [{"endpoint": "one"}, {"endpoint": "two"}], "embeddings": {"endpoint": "three"}}))
    assert found == dict(FACTS.providers) | {"hearing": "one, then two", "search": "three"}
