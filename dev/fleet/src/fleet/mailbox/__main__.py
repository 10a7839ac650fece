"""`python -m fleet.mailbox --smtp-port N --http-port N`: SMTP in; out a page for people and JSON for programs."""

from __future__ import annotations

import argparse
import asyncio
import html
import signal
from dataclasses import asdict

from aiohttp import web

from fleet.mailbox.box import Mailbox, Received, smtp

_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>Mailbox</title>
<style>body{{font:15px/1.5 system-ui;max-width:46rem;margin:2rem auto;padding:0 1rem}}article{{border:1px solid #ccc;
border-radius:6px;padding:.2rem 1rem;margin:1rem 0}}pre{{white-space:pre-wrap;overflow-wrap:anywhere}}</style>
<h1>Mailbox</h1><p>Everything that was mailed on this machine, newest first. Nothing leaves it.</p>{mails}"""


def routes(mailbox: Mailbox) -> list[web.RouteDef]:
    async def page(_: web.Request) -> web.Response:
        mails = "".join(_article(mail) for mail in reversed(mailbox.mails)) or "<p>Nothing yet.</p>"
        return web.Response(text=_PAGE.format(mails=mails), content_type="text/html")

    async def messages(request: web.Request) -> web.Response:
        """The mails `to` an address with a number above `after`; waits up to `wait_s` seconds for one."""
        query = request.query
        to, after, wait_s = query.get("to", ""), int(query.get("after", "0")), float(query.get("wait_s", "0"))
        found = mailbox.to(to, after)
        if not found and wait_s > 0:
            try:
                found = [await mailbox.wait(to, after, min(wait_s, 60.0))]
            except TimeoutError:
                found = []
        return web.json_response({"messages": [{**asdict(mail), "at": mail.at.isoformat()} for mail in found]})

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "received": mailbox.count})

    return [web.get("/", page), web.get("/messages", messages), web.get("/health", health)]


def _article(mail: Received) -> str:
    text = html.escape(mail.text)
    for link in mail.links:
        shown = html.escape(link)
        text = text.replace(shown, f'<a href="{shown}">{shown}</a>')
    head = f"{mail.at:%H:%M:%S} to {html.escape(mail.to)}: <b>{html.escape(mail.subject)}</b>"
    return f"<article><p>{head}</p><pre>{text}</pre></article>"


async def serve(smtp_port: int, http_port: int) -> None:
    """Until SIGTERM."""
    mailbox = Mailbox()
    app = web.Application()
    app.add_routes(routes(mailbox))
    runner = web.AppRunner(app)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with smtp(mailbox, smtp_port):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", http_port).start()
        await stop.wait()
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fleet.mailbox")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.smtp_port, arguments.http_port))


if __name__ == "__main__":
    main()
