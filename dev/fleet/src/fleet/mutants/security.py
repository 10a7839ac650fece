"""The mutants of isolation and access (docs/security.md); those of signing in are in :mod:`fleet.mutants.authentication`."""

from __future__ import annotations

from fleet.mutants import Edit, Mutant
from fleet.mutants.bus import CONNECTION

_COMMON = "libs/common/src/switchboard"
_GATEWAY = "services/api-gateway/src/api_gateway"
_TENANCY = "services/tenant-svc/src/tenant_svc"
_WHOLE = "tests/integration"
_CATALOGUE = f"{_WHOLE}/test_catalogue.py"
_ISOLATION = f"{_WHOLE}/test_tenant_isolation.py::test_nothing_of_another_tenant_can_be_reached"
_MATRIX = f"{_WHOLE}/test_access_matrix.py::test_everybody_gets_what_the_matrix_says_of_every_operation"
_SUSPENDED = f"{_WHOLE}/test_access_matrix.py::test_a_suspended_clinic_reads_what_it_could_and_changes_nothing"
_EDGE = "services/api-gateway/tests/integration"
_LET_IN = r"DID NOT RAISE"
_STATEMENTS = f"{_COMMON}/migrate/statements.py"
_LOOK_UPS = f"{_TENANCY}/migrations/versions/0011_suspended.py"

CATALOGUE = (
    Mutant(
        "every table of a tenant is isolated",
        "one table without FORCE",
        (
            Edit(
                _STATEMENTS,
                "ALTER TABLE {name} FORCE ROW",
                "ALTER TABLE {name} {'NO ' if table == 'members' else ''}FORCE ROW",
            ),
        ),
        f"{_CATALOGUE}::test_every_table_of_a_tenant_is_isolated",
        r"tenancy\.members: row-level security is not enabled",
    ),
    Mutant(
        "no service passes by a policy",
        "TRUNCATE granted",
        (Edit(_STATEMENTS, "GRANT {grants} ON {name} TO", "GRANT {grants}, TRUNCATE ON {name} TO"),),
        f"{_CATALOGUE}::test_no_service_owns_anything_or_may_pass_by_a_policy",
        r"has TRUNCATE on",
    ),
    Mutant(
        "look-ups across tenants are for their service",
        "everybody may execute them",
        (
            Edit(
                _STATEMENTS, "ON FUNCTION {name} TO {roles.service};", "ON FUNCTION {name} TO {roles.service}, PUBLIC;"
            ),
        ),
        f"{_CATALOGUE}::test_every_security_definer_function_is_listed",
        r"may be executed by everybody",
    ),
)

ROWS = (
    Mutant(
        "nobody writes rows of another tenant",
        "WITH CHECK lets every row pass",
        (Edit(_STATEMENTS, "WITH CHECK ({TENANT_PREDICATE})", "WITH CHECK (true)"),),
        f"{_ISOLATION}[tenancy]",
        _LET_IN,
    ),
    Mutant(
        "nobody sees rows of another tenant",
        "USING lets every row pass",
        (Edit(_STATEMENTS, "USING ({TENANT_PREDICATE})", "USING (true)"),),
        f"{_ISOLATION}[tenancy]",
        r"seen by another tenant",
    ),
)

TRANSACTIONS = (
    Mutant(
        "a tenant is set for one transaction",
        "for the session",
        (
            Edit(
                f"{_COMMON}/db/database.py",
                "SET_TENANT = \"SELECT set_config('app.tenant_id', $1, true)\"",
                "SET_TENANT = \"SELECT set_config('app.tenant_id', $1, false)\"",
            ),
        ),
        "libs/common/tests/db/test_random_transactions.py::test_nothing_of_one_transaction_reaches_the_next[no-reset]",
        r"app\.tenant_id = [0-9a-f-]{36}",
    ),
    Mutant(
        "a connection that has a tenant is refused",
        "it is handed out",
        (Edit(f"{_COMMON}/db/database.py", "setup=_refuse_dirty,", "setup=None,"),),
        "libs/common/tests/db/test_database.py::test_a_connection_that_still_has_a_tenant_is_refused_and_thrown_away",
        _LET_IN,
    ),
)

_DOCUMENTS_OF_ALL = Edit(
    _STATEMENTS,
    "USING ({TENANT_PREDICATE})",
    "USING ({'true' if table == 'documents' else TENANT_PREDICATE})",
)

MATRIX = (
    Mutant(
        "every operation asks for its right",
        "one handler does not",
        (
            Edit(f"{_TENANCY}/keys/handlers.py", "import Right, allowed", "import Right, allowed, tenant_of"),
            Edit(f"{_TENANCY}/keys/handlers.py", "allowed(call, Right.KEYS_READ)", "tenant_of(call)"),
        ),
        _MATRIX,
        r"GET /v1/keys as staff: 200 instead of 403",
    ),
    Mutant(
        "a key does what its scopes say",
        "all that a key can",
        (
            Edit(
                f"{_COMMON}/rights.py",
                "rights |= {right for right in KEY_SCOPES if right.value in actor.scopes}",
                "rights |= KEY_SCOPES",
            ),
        ),
        _MATRIX,
        r"as other_key: 20\d instead of 403",
    ),
    Mutant(
        "another tenant's id is not found",
        "documents are everybody's to see",
        (_DOCUMENTS_OF_ALL,),
        _MATRIX,
        r"GET /v1/documents/\{document_id\} as foreign_owner: 200 instead of 404",
    ),
    Mutant(
        "an actor is of the tenant that it asks about",
        "nobody looks",
        (Edit(f"{_COMMON}/rights.py", " or actor.tenant_id != call.tenant_id:", ":"),),
        "libs/common/tests/test_rights.py::test_only_people_and_keys_of_the_tenant_find_anything",
        _LET_IN,
    ),
)

DRAWN = (
    Mutant(
        "another tenant's id is not found",
        "documents are everybody's to see",
        (_DOCUMENTS_OF_ALL,),
        f"{_WHOLE}/test_drawn_requests.py::test_another_clinics_owner_with_our_ids_sees_and_changes_nothing",
        r"GET /v1/documents/\{document_id\}: 200 with our id",
    ),
)

SUSPENDED = (
    Mutant(
        "a suspended tenant changes nothing",
        "it writes",
        (Edit(f"{_COMMON}/rights.py", "if actor.suspended and right not in READING:", "if False:"),),
        _SUSPENDED,
        r"PUT /v1/agent as owner: 200 instead of 403",
    ),
    Mutant(
        "whoever asks is known to be suspended",
        "the look-up of keys does not say",
        (Edit(_LOOK_UPS, "k.expires_at, t.status = 'suspended'\n", "k.expires_at, false\n"),),
        _SUSPENDED,
        r"as key: 20\d instead of 403",
    ),
)

SUBJECTS = (
    Mutant(
        "an id is 32 hexadecimal characters",
        "any text is one",
        (Edit(f"{_COMMON}/ids.py", 're.compile(r"[0-9a-f]{32}")', 're.compile(r"(?s:.*)")'),),
        "libs/common/tests/test_subjects.py::test_hostile_ids_are_refused",
        r"badly formed hexadecimal|DID NOT RAISE",
    ),
    Mutant(
        "a name in a subject is a name",
        "what follows it is not looked at",
        (Edit(f"{_COMMON}/subjects.py", "_NAME.fullmatch(text)", "_NAME.match(text)"),),
        "libs/common/tests/test_subjects.py::test_a_name_can_only_be_a_name",
        _LET_IN,
    ),
    *(mutant for mutant in CONNECTION if "service's own list" in mutant.promise),
)

HOSTILE = (
    Mutant(
        "a hostile id is refused before anybody is asked",
        "the gateway's validator is off",
        (Edit(f"{_GATEWAY}/access/identifiers.py", "if _ID.fullmatch(text) is None:", "if not text:"),),
        f"{_EDGE}/test_hostile_ids.py::test_a_hostile_id_in_a_path_is_refused_before_anybody_is_asked",
        r"/v1/\S+: 500",
    ),
    Mutant(
        "no account's address is in Redis",
        "it is its key",
        (
            Edit(
                f"{_GATEWAY}/limits/middleware.py",
                'key = hashed(passage.limits.secret, "account", account.strip().casefold().encode())',
                "key = account.strip().casefold()",
            ),
        ),
        f"{_EDGE}/test_hostile_ids.py::test_no_hostile_text_becomes_part_of_a_key_in_redis",
        r"account:\S+@clinic\.example",
    ),
    Mutant(
        "a name of a room is that room",
        "there is one when there is any",
        (
            Edit(
                "services/call-orchestrator/src/call_orchestrator/adapters/livekit.py",
                "only = api.ListRoomsRequest(names=[room_name])",
                "only = api.ListRoomsRequest()",
            ),
        ),
        f"{_WHOLE}/test_rooms.py::test_a_hostile_name_is_no_other_room",
        r"assert \[\] is None",
    ),
)

ROOM_TOKENS = (
    Mutant(
        "a caller's token joins one room",
        "and administers it",
        (
            Edit(
                "dev/sip-node/src/sip_node/room.py",
                "        room_join=True,\n",
                "        room_join=True,\n        room_admin=True,\n",
            ),
        ),
        f"{_WHOLE}/test_rooms.py::test_a_token_for_one_room_is_for_that_room",
        r"RoomService/SendData call-[0-9a-f]+: 200",
    ),
)

MUTANTS = CATALOGUE + ROWS + TRANSACTIONS + MATRIX + DRAWN + SUSPENDED + SUBJECTS + HOSTILE + ROOM_TOKENS
