"""What is proven, in the order of the table. Rows with real calls, which want the machine to themselves, come last."""

from __future__ import annotations

from fleet.prove import Row

_BUS = "libs/common/tests/bus"

ROWS: tuple[Row, ...] = (
    Row(
        "bus-kills",
        "nothing that nats-server acknowledged is lost when it is killed under load, and each fact has its effect once",
        (f"{_BUS}/test_kills.py",),
        {"BUS_KILLS": "20", "BUS_PATIENCE_S": "240"},
    ),
    Row(
        "bus-fsync",
        "acknowledged is on disk: at least one sync for each, and a store without the page cache holds them all",
        (f"{_BUS}/test_fsync.py",),
        {"BUS_PUBLISHES": "1000"},
    ),
    Row(
        "bus-rollback",
        "a broker whose store is a minute old heals from the outboxes",
        (f"{_BUS}/test_rollback.py",),
        {"BUS_ROLLBACK_SECONDS": "60", "BUS_PATIENCE_S": "240"},
    ),
    Row(
        "bus-dead-letters",
        "a poison message delays nobody, ends in the dead letters and comes back by list, show and replay",
        (f"{_BUS}/test_dead_letters.py", f"{_BUS}/test_outages.py"),
    ),
    Row(
        "bus-failpoints",
        "a handler killed at any of its awaits runs again, and its effect happens once",
        (f"{_BUS}/test_failpoints.py",),
    ),
    Row(
        "bus-relays",
        "two relays, killed ones and lost notices keep the order (epoch, seq) of each call",
        (f"{_BUS}/test_relays.py",),
        {"BUS_RELAY_KILLS": "10", "BUS_PATIENCE_S": "240"},
    ),
    Row(
        "bus-manners",
        "late replies are dropped and counted; a slow consumer slows nobody; a copy takes no more than it can handle",
        (
            f"{_BUS}/test_late_replies.py",
            f"{_BUS}/test_slow_consumers.py",
            f"{_BUS}/test_copies.py",
            f"{_BUS}/test_closing.py",
            f"{_BUS}/test_bus.py",
            f"{_BUS}/test_bus_parts.py",
        ),
    ),
    Row(
        "bus-closed",
        "a service whose connection is closed for good ends with 1, and its supervisor mends it",
        ("dev/fleet/tests/test_closed_bus.py",),
    ),
    Row(
        "bus-own-lists",
        "a service publishes and subscribes to what its own list names, nothing else",
        (f"{_BUS}/test_own_lists.py",),
    ),
    Row(
        "mutants",
        "each promise of the bus is kept by a line whose removal a test notices for the right reason",
        module="fleet.mutants",
    ),
    Row(
        "contracts",
        "schemas are those that were accepted, earlier payloads are read, a change that breaks somebody is refused",
        ("libs/common/tests/contracts", f"{_BUS}/test_asyncapi.py"),
    ),
    Row(
        "statements",
        "every SQL statement can be prepared against the migrated schema, by the role that runs it",
        ("tests/integration/test_statements.py", "tests/house/test_statements.py"),
    ),
    Row(
        "migrations",
        "databases empty and filled at any version become the newest, twice, and once when two try; long locks are refused",
        (
            # First: alembic's operations stay bound to the last connection that they had in a process.
            "tests/house/test_migration_lint.py",
            "tests/integration/test_migrations.py",
            "libs/common/tests/migrate",
        ),
    ),
    Row(
        "transactions",
        "random tenants' transactions with cancels and timeouts over a small pool leave no row and no setting to the next",
        ("libs/common/tests/db/test_random_transactions.py",),
        {"TENANT_TRANSACTIONS": "20000"},
    ),
    Row(
        "enumeration",
        "asking for a link, a reset, to sign up or in tells nobody who has an account: medians of alternated pairs",
        ("services/tenant-svc/tests/integration/test_links.py",),
        {"ENUMERATION_PAIRS": "500"},
    ),
    Row(
        "access",
        "every public operation, asked by everybody who might; drawn requests, with another clinic's ids too, show nothing",
        ("tests/integration/test_access_matrix.py", "tests/integration/test_drawn_requests.py"),
        {"DRAWN_REQUESTS": "50"},
    ),
    Row(
        "planted",
        "the search for planted things finds them in every place and form",
        ("dev/fleet/tests/test_planted.py",),
    ),
    Row(
        "containers",
        "the integration suite passes with its servers as containers",
        ("libs", "services", "dev", "tests"),
        {"INFRA": "containers"},
        containers=True,
    ),
    Row(
        "sip",
        "mutated SIP messages leave no call, port or room behind",
        ("dev/sip-node/tests/test_contract_mutated.py",),
        {"SIP_MUTATIONS": "2000"},
    ),
    Row(
        "call",
        "one trace from job to record; turns' times by stage; nothing of caller and words in logs, spans, metrics, subjects "
        "and dead letters",
        ("tests/e2e/test_answered_calls.py",),
    ),
    Row(
        "outages",
        "PostgreSQL, NATS, either Redis or LiveKit away for 10 s, in a call and while one arrives: what must hold does",
        ("tests/e2e/test_outages.py",),
    ),
    Row(
        "two-clinics",
        "two callers at once each hear their own clinic's words, never the other's",
        ("tests/e2e/test_two_clinics.py",),
        {"TWO_CLINICS_RUNS": "10"},
    ),
    Row(
        "copies",
        "of two copies of each service one is killed with work in hand: the other finishes it, nothing is lost or doubled",
        ("tests/e2e/test_two_copies.py",),
        {"COPIES_RUNS": "5"},
    ),
    Row(
        "killed-agents",
        "a killed voice agent's calls end with a record and a reason, the other's go on without a gap",
        ("tests/e2e/test_two_copies_of_the_agent.py",),
        {"COPIES_RUNS": "5"},
    ),
)


def chosen(word: str) -> list[Row]:
    """The row of this name, or those of this group (``bus``: ``bus-kills`` and so on); all for no word."""
    return [row for row in ROWS if not word or row.name == word or row.name.startswith(f"{word}-")]
