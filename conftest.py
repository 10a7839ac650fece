"""Real servers for the integration tests of every package."""

pytest_plugins = [
    "fleet.fixtures",
    "fleet.bus_fixtures",
    "fleet.proofs.outboxes",
    "fleet.e2e",
    "fleet.mailbox.fixtures",
    "switchboard.testing.fixtures",
    "switchboard.testing.corpus",
]
