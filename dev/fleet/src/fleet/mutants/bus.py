"""The mutants of the bus (docs/operations/bus.md)."""

from __future__ import annotations

from fleet.mutants import Edit, Mutant

_BUS = "libs/common/src/switchboard/bus"
_TESTS = "libs/common/tests/bus"
_NEVER_CAME = r"TimeoutError"
_KILLS = f"{_TESTS}/test_kills.py::test_nothing_acknowledged_is_lost_by_kills_under_load"
_ROLLBACK = f"{_TESTS}/test_rollback.py::test_a_store_rolled_back_heals_from_the_outboxes"
_SUCCESSOR = f"{_TESTS}/test_rollback.py::test_an_answer_about_a_lost_message_is_not_taken_for_one_about_its_successor"
_POISON = f"{_TESTS}/test_dead_letters.py::test_poison_delays_nobody_and_comes_back_by_command"
_FAILPOINTS = f"{_TESTS}/test_failpoints.py::test_a_handler_killed_at_any_await_runs_again_and_its_effect_happens_once"
_RELAYS = f"{_TESTS}/test_relays.py::test_two_relays_one_of_them_killed_keep_the_order"
_LATE_REPLY = f"{_TESTS}/test_late_replies.py::test_an_answer_after_its_deadline_is_dropped_and_counted"
_LATE_ERROR = f"{_TESTS}/test_late_replies.py::test_an_error_after_its_deadline_is_dropped_and_counted"
_CLOSED = "dev/fleet/tests/test_closed_bus.py::test_a_closed_connection_ends_the_process_and_a_restart_mends_it"
_SLOW_SERVICE = f"{_TESTS}/test_slow_consumers.py::test_a_service_that_stands_still_slows_no_other_service"
_SLOW_CALL = f"{_TESTS}/test_slow_consumers.py::test_a_call_whose_handler_stands_still_slows_no_other_call"
_OWN_LISTS = f"{_TESTS}/test_own_lists.py::test_the_server_refuses_what_is_not_on_a_services_own_list"
_ONE_LANE = Edit(f"{_BUS}/consumer.py", 'entity = msg.subject.rpartition(".")[0]', 'entity = ""')
_CLAIM = "rows = await conn.fetch(CLAIM.format(schema=self._schema), settings.batch)"


def _service(package: str, closed: str) -> Edit:
    folder = f"services/{package}/src/{package.replace('-', '_')}"
    return Edit(f"{folder}/main.py", f"on_closed=lambda: {closed}", "on_closed=lambda: None")


STORE = (
    Mutant(
        "20 SIGKILLs under load lose nothing acknowledged",
        "a publish does not wait for the broker's acknowledgement",
        (
            Edit(
                f"{_BUS}/client.py",
                "await self._js.publish(\n                    subject,\n                    payload,\n"
                "                    timeout=PUBLISH_SECONDS,",
                "await self._client.publish(\n                    subject,\n                    payload,",
            ),
        ),
        _KILLS,
        r"acknowledged facts are lost",
    ),
    Mutant(
        "fsync: acknowledged means on disk",
        "nats-server without sync_interval: always",
        (Edit("dev/fleet/src/fleet/servers/nats.py", "sync_interval: always, ", ""),),
        f"{_TESTS}/test_fsync.py::test_each_acknowledged_publish_was_synced_and_survives_a_power_cut",
        r"\d+ syncs for \d+ acknowledged publishes",
    ),
    Mutant(
        "a store rolled back heals from the outboxes",
        "rows are queued again by when they were written",
        (
            Edit(
                "libs/common/src/switchboard/migrate/mailboxes.py",
                "WHERE sent_at >= p_since;",
                "WHERE created_at >= p_since AND sent_at IS NOT NULL;",
            ),
        ),
        _ROLLBACK,
        r"assert 90 == 91",
    ),
    Mutant(
        "a store rolled back heals from the outboxes",
        "sent rows are not kept",
        (Edit("libs/common/src/switchboard/outbox.py", "KEEP = timedelta(hours=24)", "KEEP = timedelta(0)"),),
        _ROLLBACK,
        r"assert \d+ == 0",
    ),
    Mutant(
        "a store rolled back heals from the outboxes",
        "a row that is sent again has another id",
        (
            Edit(
                "libs/common/src/switchboard/outbox.py",
                "publish(subject, payload, headers, row_id.hex)",
                'publish(subject, payload, headers, f"{row_id.hex}-{self._monotonic()}")',
            ),
        ),
        _ROLLBACK,
        r"assert \d+ == 91",
    ),
    Mutant(
        "a store rolled back heals from the outboxes",
        "an answer goes out over a later connection than its message came",
        (Edit(f"{_BUS}/consumer.py", "return self._in_hand[id(msg)][1] == self._connection()", "return True"),),
        _SUCCESSOR,
        _NEVER_CAME,
    ),
)

HANDLING = (
    Mutant(
        "poison ends in the dead letters",
        "tries are not limited",
        (Edit(f"{_BUS}/consumer.py", "if hopeless or attempt > len(RETRY_DELAYS):", "if hopeless:"),),
        _POISON,
        r"TimeoutError|IndexError",
    ),
    Mutant("poison delays nobody", "all messages of a durable in one line", (_ONE_LANE,), _POISON, _NEVER_CAME),
    Mutant(
        "poison ends in the dead letters",
        "its Nats-* headers travel with it",
        (
            Edit(
                f"{_BUS}/consumer.py",
                'kept = {key: value for key, value in headers.items() if not key.startswith("Nats-")}',
                "kept = dict(headers)",
            ),
        ),
        _POISON,
        _NEVER_CAME,
    ),
    Mutant(
        "poison ends in the dead letters",
        "a second burial looks like the first",
        (Edit(f"{_BUS}/consumer.py", "dead-{self._durable}-{stored}-{", "dead-{self._durable}-{"),),
        _POISON,
        _NEVER_CAME,
    ),
    Mutant(
        "a dead letter comes back by replay",
        "it is replayed under the broker id that the broker has seen",
        (
            Edit(
                f"{_BUS}/deadletters.py",
                "kept[BROKER_ID] = f\"{headers.get(MESSAGE_ID, '')}-replay-{sequence}\"",
                'kept[BROKER_ID] = headers.get(MESSAGE_ID, "")',
            ),
        ),
        _POISON,
        _NEVER_CAME,
    ),
    Mutant(
        "killed at any await, the effect happens once",
        "the inbox does not remember",
        (Edit("libs/common/src/switchboard/inbox.py", "return bool(await", "return True or bool(await"),),
        _FAILPOINTS,
        r"an effect happened twice",
    ),
    Mutant(
        "killed at any await, the handler runs again",
        "acknowledged before it is handled",
        (
            Edit(
                f"{_BUS}/consumer.py",
                "await self._dispatch(msg, headers, name, attempt)\n",
                "await self._acknowledge(msg)\n                await self._dispatch(msg, headers, name, attempt)\n",
            ),
        ),
        _FAILPOINTS,
        r"AssertionError",
    ),
    Mutant(
        "a slow consumer does not slow others",
        "services share a durable",
        (
            Edit(f"{_BUS}/topology.py", 'return f"{service.value}-{domain}"', 'return f"all-{domain}"'),
            Edit(f"{_BUS}/topology.py", "list(consumer.filters)", "list(dict.fromkeys(consumer.filters))"),
        ),
        _SLOW_SERVICE,
        _NEVER_CAME,
    ),
    Mutant(
        "a slow consumer does not slow others",
        "all messages of a durable in one line",
        (_ONE_LANE,),
        _SLOW_CALL,
        _NEVER_CAME,
    ),
)

RELAYS = (
    Mutant(
        "two relays keep (epoch, seq) order",
        "both work at the same time",
        (
            Edit(
                "libs/common/src/switchboard/migrate/mailboxes.py",
                "IF NOT pg_try_advisory_xact_lock(hashtextextended('{schema}.outbox', 0)) THEN",
                "IF false THEN",
            ),
        ),
        "libs/common/tests/test_outbox.py::test_while_one_relay_sends_another_takes_nothing",
        r"assert 2 == 0",
    ),
    Mutant(
        "a killed relay loses nothing",
        "rows are marked as sent, for good, before they are sent",
        (
            Edit(
                "libs/common/src/switchboard/outbox.py",
                f"        async with self._db.platform() as conn:\n            {_CLAIM}\n",
                f"        async with self._db.platform() as conn:\n            {_CLAIM}\n"
                "            settle = SETTLE.format(schema=self._schema)\n"
                '            await conn.execute(settle, [row["seq"] for row in rows], [], timedelta(), timedelta())\n'
                "        async with self._db.platform() as conn:\n",
            ),
        ),
        # Not the relays' own test: whether a kill falls between the mark and the broker is a matter of luck there.
        "libs/common/tests/test_outbox.py::test_a_relay_that_dies_after_sending_sends_the_same_id_again",
        r"AssertionError",
    ),
    Mutant(
        "dropped notifications delay by one poll only",
        "the relay waits for a notice",
        (
            Edit(
                "libs/common/src/switchboard/outbox.py",
                "async with asyncio.timeout(self._settings.poll_s):",
                "async with asyncio.timeout(None):",
            ),
        ),
        f"{_RELAYS}[all notices lost]",
        _NEVER_CAME,
    ),
    Mutant(
        "two relays keep (epoch, seq) order",
        "what follows a refused row overtakes it",
        (Edit("libs/common/src/switchboard/outbox.py", 'if row["key"] in failed:', "if False:"),),
        "libs/common/tests/test_outbox.py::test_a_refused_row_holds_back_its_own_key_and_no_other",
        r"AssertionError",
    ),
)

CONNECTION = (
    Mutant(
        "a reply after its deadline is dropped",
        "the deadline is not looked at again",
        (Edit(f"{_BUS}/rpc.py", "late = deadline is not None and deadline <=", "late = False and 0 <="),),
        _LATE_REPLY,
        r"DID NOT RAISE",
    ),
    Mutant(
        "an error after its deadline is dropped",
        "errors are sent without looking",
        (
            Edit(
                f"{_BUS}/rpc.py",
                "if not self._is_late(headers, name):\n            await _respond_error",
                "if True:\n            await _respond_error",
            ),
        ),
        _LATE_ERROR,
        r"Forbidden: too late to tell",
    ),
    Mutant(
        "a reply after its deadline is counted",
        "it is not counted",
        (Edit(f"{_BUS}/rpc.py", "        if late:\n            metrics.late_replies.labels(name).inc()\n", ""),),
        _LATE_REPLY,
        _NEVER_CAME,
    ),
    Mutant(
        "a closed connection ends the process",
        "no service asks for it",
        (
            _service(
                "api-gateway", 'None if service.stopping.is_set() else service.fatal("the bus is closed for good")'
            ),
            _service("tenant-svc", 'service.fatal("the bus is closed")'),
            _service("call-orchestrator", 'service.fatal("the bus is closed")'),
            _service("rag-svc", 'process.fatal("the bus is closed")'),
            _service("ingest-worker", 'process.fatal("the bus is closed")'),
        ),
        _CLOSED,
        r"'api-gateway': None.*'tenant-svc': None.*'call-orchestrator': None.*'rag-svc': None.*'ingest-worker': None",
    ),
    Mutant(
        "a closed connection ends the process",
        "the client does not say that it is closed",
        (Edit(f"{_BUS}/connection.py", "            closed_cb=on_closed,\n", ""),),
        _CLOSED,
        r"'ingest-worker': None",
        {"BUS_CLOSED_SERVICES": "ingest-worker"},
    ),
    Mutant(
        "a closed connection ends the process with a non-zero code",
        "it ends as if it had been asked to",
        (Edit("libs/common/src/switchboard/service/run.py", "EXIT_FAILED = 1", "EXIT_FAILED = 0"),),
        _CLOSED,
        r"'ingest-worker': 0",
        {"BUS_CLOSED_SERVICES": "ingest-worker"},
    ),
    Mutant(
        "a publish outside a service's own list is refused",
        "no list of what may be published",
        (Edit(f"{_BUS}/permissions.py", "allow: {json.dumps(lists['publish'])}", 'allow: \\">\\"'),),
        _OWN_LISTS,
        r"AssertionError",
    ),
    Mutant(
        "a subscription outside a service's own list is refused",
        "no list of what may be subscribed to",
        (Edit(f"{_BUS}/permissions.py", "allow: {json.dumps(lists['subscribe'])}", 'allow: \\">\\"'),),
        _OWN_LISTS,
        r"AssertionError",
    ),
)

MUTANTS = STORE + HANDLING + RELAYS + CONNECTION
