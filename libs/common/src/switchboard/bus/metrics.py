"""What the bus counts. Labels are contract names and error codes: never ids, never subjects.

``error_type`` is empty where nothing went wrong, as OpenTelemetry leaves ``error.type`` out; how many there were is the
``_count`` of a duration.
"""

from __future__ import annotations

from switchboard.telemetry.metrics import PROCESS

_CALL = ("rpc_method", "error_type")

asked = PROCESS.histogram("rpc.client.call.duration", "From request to reply", _CALL)
served = PROCESS.histogram("rpc.server.call.duration", "From a request's arrival to its reply", _CALL)
serving = PROCESS.gauge("switchboard.rpc.server.active_requests", "Requests being served now", ("rpc_method",))
late_replies = PROCESS.counter(
    "switchboard.rpc.server.late_replies", "Replies not sent since nobody waits any more", ("rpc_method",)
)
sent = PROCESS.counter("messaging.client.sent.messages", "Facts stored by the broker", ("contract",))
processed = PROCESS.histogram("messaging.process.duration", "Deliveries handled", ("contract", "error_type"))
in_hand = PROCESS.gauge("switchboard.bus.in_hand", "Deliveries fetched and not settled yet", ("durable",))
errors = PROCESS.counter(
    "switchboard.bus.errors", "Asynchronous errors of the NATS connection, permission violations included"
)
reconnects = PROCESS.counter("switchboard.bus.reconnects", "Times the NATS connection came back")
