"""The fact that wakes the reconciler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from switchboard.bus import Delivery
from switchboard.contracts.tenants import TrunksChanged

from tenant_svc.reconciler.service import Reconciler


def waker(reconcilers: Sequence[Reconciler]) -> Callable[[TrunksChanged, Delivery], Awaitable[None]]:
    """The fact is a hint: what LiveKit should hold is read from the database, so a lost or repeated one does no harm."""

    async def on_trunks(_fact: TrunksChanged, _delivery: Delivery) -> None:
        for reconciler in reconcilers:
            reconciler.wake()

    return on_trunks
