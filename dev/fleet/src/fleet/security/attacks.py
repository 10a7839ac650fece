"""The attacks, in the order of the table. Each of an attack's mutants is noticed by a test of that attack."""

from __future__ import annotations

from fleet.mutants import authentication, security
from fleet.prove import Row
from fleet.security import Attack

_WHOLE = "tests/integration"
_PEOPLE = "services/tenant-svc/tests/integration"
_EDGE = "services/api-gateway/tests/integration"
_UNIT = "services/api-gateway/tests/unit"
_COMMON = "libs/common/tests"
_AUTH = f"{_WHOLE}/test_auth_attacks.py"
_MATRIX = f"{_WHOLE}/test_access_matrix.py"

ISOLATION = (
    Attack(
        Row(
            "catalogue",
            "a table, view, key, role or function of the database that one tenant could see another's rows by",
            (f"{_WHOLE}/test_catalogue.py", f"{_WHOLE}/test_definer_functions.py"),
        ),
        security.CATALOGUE,
    ),
    Attack(
        Row(
            "rows",
            "reading, changing, deleting and making another tenant's rows, in every table, as the service's own role",
            (f"{_WHOLE}/test_tenant_isolation.py",),
        ),
        security.ROWS,
    ),
    Attack(
        Row(
            "transactions",
            "random transactions of tenants over a small pool, cancelled, timed out and thrown out of, with and without "
            "the pool's reset",
            (f"{_COMMON}/db/test_random_transactions.py", f"{_COMMON}/db/test_database.py"),
            {"TENANT_TRANSACTIONS": "20000"},
        ),
        security.TRANSACTIONS,
    ),
)

ACCESS = (
    Attack(
        Row(
            "matrix",
            "every public operation, asked by nobody, another clinic's owner, each role, support, and keys with and without "
            "the scope",
            (_MATRIX, f"{_COMMON}/test_rights.py"),
        ),
        security.MATRIX,
    ),
    Attack(
        Row(
            "drawn",
            "requests drawn from the OpenAPI document, as another clinic's owner with our ids, as our owner and as nobody",
            (f"{_WHOLE}/test_drawn_requests.py",),
            {"DRAWN_REQUESTS": "50"},
        ),
        security.DRAWN,
    ),
    Attack(
        Row(
            "suspended",
            "changing something in a suspended clinic",
            (
                f"{_MATRIX}::test_a_suspended_clinic_reads_what_it_could_and_changes_nothing",
                f"{_COMMON}/test_rights.py::test_in_a_suspended_tenant_everybody_reads_what_they_could_and_changes_nothing",
            ),
        ),
        security.SUSPENDED,
    ),
    Attack(
        Row(
            "mass-assignment",
            "fields and headers that say who one is, what one may do, or in what state something is",
            (
                f"{_AUTH}::test_no_form_takes_a_field_that_says_who_one_is",
                f"{_MATRIX}::test_no_header_or_field_says_which_tenant_one_is",
            ),
        ),
        authentication.FORMS,
    ),
)

HOSTILE = (
    Attack(
        Row(
            "subjects",
            "hostile ids and names for subjects of the bus; publishing and subscribing outside of a service's own list",
            (f"{_COMMON}/test_subjects.py", f"{_COMMON}/bus/test_own_lists.py"),
        ),
        security.SUBJECTS,
    ),
    Attack(
        Row(
            "hostile-ids",
            "hostile ids in paths, in LiveKit's events, in what Redis counts, and for names of LiveKit's rooms",
            (
                f"{_EDGE}/test_hostile_ids.py",
                f"{_UNIT}/test_access.py",
                f"{_EDGE}/test_livekit_webhook.py::test_a_hostile_event_becomes_one_hint_on_its_one_subject",
                f"{_WHOLE}/test_rooms.py::test_a_hostile_name_is_no_other_room",
            ),
        ),
        security.HOSTILE,
    ),
    Attack(
        Row(
            "room-tokens",
            "a caller's token for one LiveKit room, for other rooms and for the server",
            (f"{_WHOLE}/test_rooms.py::test_a_token_for_one_room_is_for_that_room",),
        ),
        security.ROOM_TOKENS,
    ),
)

SIGNING_IN = (
    Attack(
        Row(
            "links",
            "links and invitations redeemed twice, late, by another browser or another address, or fifty times at once",
            (
                f"{_PEOPLE}/test_links.py::test_of_fifty_who_redeem_a_link_at_once_one_gets_in",
                f"{_PEOPLE}/test_links.py::test_a_link_is_for_the_browser_that_asked_and_for_ten_minutes",
                f"{_PEOPLE}/test_links.py::test_a_second_link_to_sign_up_changes_nobodys_password",
                f"{_PEOPLE}/test_links.py::test_a_link_that_opens_nothing_opens_nothing",
                f"{_PEOPLE}/test_links.py::test_only_hashes_of_links_are_kept_and_no_mail_once_it_is_sent",
                f"{_PEOPLE}/test_members.py",
            ),
        ),
        authentication.LINKS,
    ),
    Attack(
        Row(
            "token-confusion",
            "a credential shown in another's place: key, session, half a session, link, browser, invitation",
            (
                f"{_AUTH}::test_no_credential_is_taken_for_one_of_another_kind",
                f"{_PEOPLE}/test_keys.py",
                f"{_PEOPLE}/test_sessions.py::test_what_is_a_persons_own_is_for_nobody_else",
            ),
        ),
        authentication.KEYS,
    ),
    Attack(
        Row(
            "fixation",
            "sessions planted or seen before its rights grow, or kept after a new password; another site's requests",
            (
                f"{_AUTH}::test_no_token_of_before_is_good_for_what_one_may_do_afterwards",
                f"{_PEOPLE}/test_sessions.py",
                f"{_PEOPLE}/test_links.py::test_choosing_a_new_password_ends_every_session",
                f"{_PEOPLE}/test_second_factor.py",
                f"{_EDGE}/test_signing_in.py",
            ),
        ),
        authentication.SESSIONS,
    ),
    Attack(
        Row(
            "replay",
            "codes, links and LiveKit's events sent again, at once and later",
            (
                f"{_AUTH}::test_what_was_used_is_of_no_use_again",
                f"{_PEOPLE}/test_second_factor.py::test_a_code_works_once_also_for_twenty_at_once",
                f"{_PEOPLE}/test_links.py::test_of_fifty_who_redeem_a_link_at_once_one_gets_in",
                f"{_EDGE}/test_livekit_webhook.py::test_an_event_becomes_a_hint_once",
            ),
        ),
        authentication.REPLAY,
    ),
    Attack(
        Row(
            "enumeration",
            "learning from answers, work and time who has an account: medians of alternated pairs",
            (f"{_PEOPLE}/test_links.py", "services/tenant-svc/tests/unit/test_passwords.py"),
            {"ENUMERATION_PAIRS": "500"},
        ),
        authentication.ENUMERATION,
    ),
    Attack(
        Row(
            "guessing",
            "passwords and codes tried in number, by address, by account, side by side, over two gateways, without Redis",
            (f"{_EDGE}/test_rate_limits.py", f"{_PEOPLE}/test_second_factor.py"),
        ),
        authentication.GUESSING,
    ),
    Attack(
        Row(
            "signatures",
            "LiveKit's webhooks and our cursors with another key, algorithm, issuer, audience, time, body, or none",
            (f"{_EDGE}/test_livekit_webhook.py", f"{_UNIT}/test_cursors.py"),
        ),
        authentication.SIGNED,
    ),
)

ATTACKS: tuple[Attack, ...] = ISOLATION + ACCESS + HOSTILE + SIGNING_IN


def chosen(word: str) -> tuple[Attack, ...]:
    """The attack of this name; all for no word."""
    return tuple(attack for attack in ATTACKS if word in ("", attack.name))
