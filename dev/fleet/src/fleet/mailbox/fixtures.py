"""pytest plugin: a mailbox of the test's own, reached by SMTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fleet.mailbox.box import Mailbox, smtp


@pytest.fixture
def mailbox() -> Mailbox:
    """What was mailed."""
    return Mailbox()


@pytest_asyncio.fixture
async def smtp_port(mailbox: Mailbox) -> AsyncIterator[int]:
    """Where mail is taken, on 127.0.0.1."""
    async with smtp(mailbox) as port:
        yield port
