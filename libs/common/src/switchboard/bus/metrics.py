"""What the bus counts. Labels are contract names and outcomes: never ids, never subjects."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

requests = Counter("switchboard_rpc_client_requests", "Requests sent", ["contract", "outcome"])
request_seconds = Histogram(
    "switchboard_rpc_client_duration_seconds",
    "From request to reply",
    ["contract"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
served = Counter("switchboard_rpc_server_requests", "Requests served", ["contract", "outcome"])
served_seconds = Histogram(
    "switchboard_rpc_server_duration_seconds",
    "Handler time",
    ["contract"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
serving = Gauge("switchboard_rpc_server_in_hand", "Requests being served now", ["contract"])
published = Counter("switchboard_bus_published", "Facts stored by the broker", ["contract"])
consumed = Counter("switchboard_bus_consumed", "Deliveries handled", ["contract", "outcome"])
in_hand = Gauge("switchboard_bus_in_hand", "Deliveries fetched and not settled yet", ["durable"])
late_replies = Counter("switchboard_rpc_late_replies", "Replies not sent since nobody waits any more", ["contract"])
