from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from switchboard.errors import DeadlineExceeded, Unavailable
from switchboard.http import client
from switchboard.settings import TelemetrySettings
from switchboard.telemetry import setup, span

pytestmark = pytest.mark.unit


def answering(seen: list[httpx.Request], status: int = 200, **headers: str) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, headers=headers)

    return httpx.MockTransport(answer)


async def test_the_trace_goes_along_unless_told_not_to(tmp_path: Path) -> None:
    telemetry = setup("test", TelemetrySettings(spans_file=tmp_path / "spans"))
    seen: list[httpx.Request] = []
    with span("outer") as outer:
        trace_id = f"{outer.get_span_context().trace_id:032x}"
        for propagate in (True, False):
            async with client(transport=answering(seen), propagate_trace=propagate) as http:
                await http.get("http://host/path?token=secret")
    telemetry.shutdown()

    assert trace_id in seen[0].headers["traceparent"]
    assert "traceparent" not in seen[1].headers
    assert "secret" not in (tmp_path / "spans").read_text()
    assert '"server.address":"host"' in (tmp_path / "spans").read_text()


async def test_a_redirect_is_not_followed() -> None:
    seen: list[httpx.Request] = []
    async with client(transport=answering(seen, 302, location="http://elsewhere/")) as http:
        assert (await http.get("http://host/")).status_code == 302
    assert len(seen) == 1


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://elsewhere:1")
    seen: list[httpx.Request] = []
    async with client(transport=answering(seen)) as http:
        assert http.trust_env is False
        await http.get("http://host/")
    assert seen[0].url.host == "host"


@pytest.mark.parametrize(
    ("failure", "wanted"),
    [
        (httpx.ConnectError("no"), Unavailable),
        (httpx.ReadError("cut"), Unavailable),
        (httpx.ReadTimeout("slow"), DeadlineExceeded),
        (httpx.ConnectTimeout("slow"), DeadlineExceeded),
    ],
)
async def test_failures_of_the_way_are_our_errors(failure: Exception, wanted: type[Exception]) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise failure

    async with client(transport=httpx.MockTransport(answer)) as http:
        with pytest.raises(wanted, match="host"):
            await http.get("http://host/?token=secret")


async def test_every_request_has_a_timeout() -> None:
    async with client() as http:
        assert None not in (http.timeout.connect, http.timeout.read, http.timeout.write, http.timeout.pool)
    async with client(timeout_s=0.1) as http:
        assert http.timeout.read == 0.1
