"""What the mails say. A link's secret stands behind the ``#``: browsers send that part to no server."""

from __future__ import annotations

from tenant_svc.mail.models import Mail

_MINUTES = 10
_IGNORE = "If this wasn't you, do nothing: nobody gets in without this mail."
_SAME_BROWSER = f"It works once, for {_MINUTES} minutes, in the browser that asked for it:"


def _mail(to: str, subject: str, *lines: str) -> Mail:
    return Mail(to=to, subject=subject, text="\n\n".join(lines) + "\n")


def sign_up(to: str, link: str) -> Mail:
    head = "This link finishes opening your Switchboard account."
    return _mail(to, "Finish signing up", f"{head} {_SAME_BROWSER}", link, _IGNORE)


def sign_in(to: str, link: str) -> Mail:
    return _mail(to, "Your link to sign in", f"This link signs you in to Switchboard. {_SAME_BROWSER}", link, _IGNORE)


def reset(to: str, link: str) -> Mail:
    head = "With this link you choose a new password."
    return _mail(to, "Choose a new password", f"{head} {_SAME_BROWSER}", link, _IGNORE)


def has_account(to: str, console: str) -> Mail:
    """In the place of :func:`sign_up`."""
    head = "Somebody, probably you, wanted to open a Switchboard account with this address. It has one already."
    return _mail(to, "You have an account already", f"{head} Sign in, or choose a new password:", console, _IGNORE)


def no_account(to: str, console: str) -> Mail:
    """In the place of :func:`sign_in` and :func:`reset`."""
    head = "Somebody, probably you, wanted to sign in to Switchboard with this address. No open account has it."
    return _mail(to, "There is no account with this address", f"{head} You can open one:", console, _IGNORE)


def invitation(to: str, tenant: str, link: str) -> Mail:
    head = f"You are invited to {tenant} on Switchboard. Sign in or up with this address, then open this link:"
    return _mail(
        to, f"Invitation to {tenant}", head, link, "It works for seven days. If it says nothing to you, do nothing."
    )
