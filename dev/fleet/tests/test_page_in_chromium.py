"""The call's page as people open it: in a real browser, from a file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from fleet.files import find_program
from fleet.page import write_page
from fleet.page.sample import BEGAN, FACTS, HOSTILE, SECONDS, SPOKEN, sample
from playwright.async_api import Page, async_playwright

pytestmark = pytest.mark.integration

ADVANCED = "() => document.getElementById('sound').currentTime > 0.3"
TIME = "document.getElementById('sound').currentTime"
PAUSED = "document.getElementById('sound').paused"


@dataclass
class Opened:
    """A page with everything it complained about and everything it asked for."""

    page: Page
    path: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def get(self, script: str) -> Any:
        async with asyncio.timeout(15):
            return await self.page.evaluate(script)


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    width: int = 1100,
    scheme: Literal["light", "dark"] = "light",
    record: bool = True,
    sound: bool = True,
) -> AsyncIterator[Opened]:
    path = write_page(folder / "call.html", sample(record=record, sound=sound), FACTS)
    program = find_program("chromium", "Debian package chromium; `make integration` installs it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        found = Opened(page, path)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: found.complaints.append(message.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        await page.goto(path.as_uri())
        if sound:
            await page.wait_for_function("document.getElementById('sound').readyState >= 1")
        yield found
        await browser.close()


@pytest.mark.parametrize(("record", "sound"), [(True, True), (False, False)])
async def test_it_opens_without_a_complaint_and_asks_for_nothing(record: bool, sound: bool, tmp_path: Path) -> None:
    async with opened(tmp_path, record=record, sound=sound) as it:
        assert it.complaints == []
        assert [url for url in it.requests if not url.startswith("data:")] == [it.path.as_uri()]


async def test_its_policy_stops_what_would_go_outside_or_run(tmp_path: Path) -> None:
    """The last line of defence, tried as if the escaping had failed."""
    async with opened(tmp_path) as it:
        stopped = await it.get(
            """() => new Promise((done) => {
                const stopped = [];
                document.addEventListener("securitypolicyviolation", (event) => {
                    stopped.push(event.effectiveDirective);
                    if (stopped.length === 4) done(stopped.sort());
                });
                for (const [name, key, value] of [
                    ["img", "src", "http://127.0.0.1:9/x.png"],
                    ["script", "textContent", "document.title = 'taken'"],
                    ["style", "textContent", "body { display: none }"],
                ]) document.body.append(Object.assign(document.createElement(name), { [key]: value }));
                fetch("http://127.0.0.1:9/").catch(() => {});
            })"""
        )
        assert stopped == ["connect-src", "img-src", "script-src-elem", "style-src-elem"]
        assert await it.page.title() != "taken"


async def test_hostile_text_is_text(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        assert await it.page.title() == f"{FACTS.clinic}: a call of 20 November 2026"
        assert await it.page.inner_text("h1") == FACTS.clinic
        assert await it.get("[document.images.length, document.scripts.length]") == [0, 1]
        for place in (".speech", ".passage blockquote", ".passage cite", ".readings q", ".reason", ".complaints"):
            texts = await it.page.locator(place).all_text_contents()
            assert any("<img src=x" in text for text in texts), place
        assert HOSTILE in await it.page.locator(".passage.cited blockquote").inner_text()


async def test_the_recording_decodes_to_both_sides_in_their_places(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        assert await it.get("document.getElementById('sound').duration") == pytest.approx(SECONDS, abs=0.001)
        loud = await it.get(
            """async () => {
                const text = atob(document.getElementById("sound").src.split(",")[1]);
                const bytes = Uint8Array.from(text, (one) => one.charCodeAt(0));
                const sound = await new OfflineAudioContext(2, 8, 8000).decodeAudioData(bytes.buffer);
                const at = (side, from, to) => Math.max(...sound.getChannelData(side).slice(from * 8000, to * 8000));
                return [sound.duration, at(0, 3.1, 4.7), at(1, 3.1, 4.7), at(0, 6, 8.3), at(1, 6, 8.3)];
            }"""
        )
        assert loud[0] == pytest.approx(SECONDS, abs=0.001)
        assert loud[1] > 0.1 > loud[2]
        assert loud[4] > 0.1 > loud[3]


async def test_play_plays_and_pauses_by_button_and_by_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await it.page.click("#play")
        await it.page.wait_for_function(ADVANCED)
        assert await it.page.inner_text("#play") == "Pause"
        await it.page.locator("[name=side][value=agent]").check(force=True)
        await it.page.click("#play")
        assert await it.get(PAUSED)
        await it.page.focus("body")
        await it.get("document.activeElement.blur()")
        await it.page.keyboard.press(" ")
        assert not await it.get(PAUSED)
        assert it.complaints == []


async def test_turns_and_waveform_seek(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await it.page.click(".turn[data-turn='2'] .from")
        assert 9.5 <= await it.get(TIME) < 11
        assert await it.page.get_attribute(".turn[data-turn='2']", "aria-current") == "true"
        await it.page.click("#play")
        await it.page.click(".chapters li[data-turn='1'] button")
        assert 3 <= await it.get(TIME) < 4.5
        await it.page.click("#play")
        box = await it.page.locator("#seek").bounding_box()
        assert box is not None
        await it.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert await it.get(TIME) == pytest.approx(SECONDS / 2, abs=0.1)
        await it.page.keyboard.press("ArrowLeft")
        assert await it.get(TIME) == pytest.approx(SECONDS / 2 - 2, abs=0.1)
        await it.page.keyboard.press("[")
        assert await it.get(TIME) == pytest.approx(3.0, abs=0.01)
        await it.page.keyboard.press("]")
        assert await it.get(TIME) == pytest.approx(9.5, abs=0.01)


async def test_turns_and_their_marks_are_the_records(tmp_path: Path) -> None:
    record = sample().record
    assert record is not None
    wanted = []
    for turn in record.turns:
        times = turn.timings
        sides = (
            ("caller", times.speech_started, times.speech_ended),
            ("agent", times.first_audio, times.speech_stopped),
        )
        for side, start, end in sides:
            if start is not None and end is not None:
                wanted.append((str(turn.turn), side, (start - BEGAN).total_seconds(), (end - BEGAN).total_seconds()))
    async with opened(tmp_path) as it:
        assert await it.page.locator(".turn[data-turn]").count() == len(record.turns)
        assert await it.page.locator(".chapters li[data-turn]").count() == len(record.turns)
        found = await it.get(
            """() => [...document.querySelectorAll(".band, .wave .cut")].map((one) => {
                const wave = document.querySelector(".wave").getBoundingClientRect(), box = one.getBoundingClientRect();
                const at = (x) => (x - wave.left) / wave.width * document.getElementById("seek").max;
                return [one.dataset.turn, one.classList[1] || "cut", at(box.left), at(box.right)];
            })"""
        )
        # The interruption: from where the caller spoke up (no turn of the record) to where the agent fell silent.
        cut = found.pop()
        assert cut[:2] == ["2", "cut"]
        assert cut[3] == pytest.approx(15.6, abs=0.05)
        assert cut[2] == pytest.approx(SPOKEN["caller"][2][0], abs=0.05)
        assert [row[:2] for row in found] == [[row[0], row[1]] for row in wanted]
        for row, want in zip(found, wanted, strict=True):
            assert row[2:] == pytest.approx(list(want[2:]), abs=0.05)


@pytest.mark.parametrize("width", [360, 1100])
async def test_nothing_overflows(width: int, tmp_path: Path) -> None:
    async with opened(tmp_path, width=width) as it:
        await it.get("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        wide = await it.get(
            """() => [...document.querySelectorAll("body *")]
                .filter((one) => !one.closest(".scroll, .unseen") && one.getBoundingClientRect().right > innerWidth + 0.5)
                .map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert wide == []
        assert await it.get("document.documentElement.scrollWidth") <= width


async def test_light_and_dark_are_readable(tmp_path: Path) -> None:
    """Every text has at least WCAG's contrast of 4.5 to 1 with what is behind it."""
    for scheme in ("light", "dark"):
        async with opened(tmp_path, scheme=scheme) as it:
            assert await it.get(CONTRAST) == []


CONTRAST = """() => {
    const read = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = (top, under) => top.slice(0, 3).map((value, i) => value * top[3] + under[i] * (1 - top[3]));
    const behind = (one) => {
        if (!one) return [255, 255, 255];
        const own = read(getComputedStyle(one).backgroundColor);
        return own[3] === 1 ? own.slice(0, 3) : over(own, behind(one.parentElement));
    };
    const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    return [...document.querySelectorAll("body *")].filter((one) => !one.closest("svg, script, audio")
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())).map((one) => {
        const [a, b] = [light(read(getComputedStyle(one).color).slice(0, 3)), light(behind(one))].sort((x, y) => y - x);
        return [one.tagName, one.className, (a + 0.05) / (b + 0.05)];
    }).filter(([, , ratio]) => ratio < 4.5);
}"""
