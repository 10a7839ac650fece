"""A process of the fleet: starts, says how it is, works, and stops cleanly.

::

    async def compose(service: Service[Settings]) -> ASGIApp | None:
        db = await service.enter(Database.open(service.settings.database, name=service.name))
        service.health.required("postgres", db.ready)
        ...
        return create_app(...)

    def main() -> None:
        run("tenant-svc", load_or_exit(Settings), compose)
"""

from switchboard.service.asgi import ASGIApp, Message, Receive, Scope, Send
from switchboard.service.health import Check, Health, Report
from switchboard.service.problems import PROBLEM_JSON, Problem, problem_of
from switchboard.service.run import Service, run, serve

__all__ = [
    "PROBLEM_JSON",
    "ASGIApp",
    "Check",
    "Health",
    "Message",
    "Problem",
    "Receive",
    "Report",
    "Scope",
    "Send",
    "Service",
    "problem_of",
    "run",
    "serve",
]
