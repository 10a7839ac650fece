"""The mutants of signing in, of sessions, keys and what is signed (docs/security.md)."""

from __future__ import annotations

from fleet.mutants import Edit, Mutant

_GATEWAY = "services/api-gateway/src/api_gateway"
_TENANCY = "services/tenant-svc/src/tenant_svc"
_PEOPLE = "services/tenant-svc/tests/integration"
_EDGE = "services/api-gateway/tests/integration"
_ATTACKS = "tests/integration/test_auth_attacks.py"
_LINKS = f"{_PEOPLE}/test_links.py"
_SESSIONS = f"{_PEOPLE}/test_sessions.py"
_FORGED = f"{_EDGE}/test_livekit_webhook.py::test_forgeries_are_refused"
_ALIKE = f"{_LINKS}::test_an_address_with_an_account_is_answered_like_one_without"
_LET_IN = r"DID NOT RAISE"
_SQL = f"{_TENANCY}/identity/repository.py"
_LOOK_UPS = f"{_TENANCY}/migrations/versions/0011_suspended.py"
_VERIFIER = f"{_GATEWAY}/webhooks/verification.py"
_RECEIVED = 'return self._receiver.receive(text, authorization.removeprefix("Bearer "))'
_USE_LINK = "AND used_at IS NULL AND expires_at > $4\n"

LINKS = (
    Mutant(
        "a link lets one in, once",
        "again and again",
        (Edit(_SQL, _USE_LINK, "AND expires_at > $4\n"),),
        f"{_PEOPLE}/test_links.py::test_of_fifty_who_redeem_a_link_at_once_one_gets_in",
        r"assert \d+ == 1",
    ),
    Mutant(
        "a link is for the browser that asked",
        "for any",
        (Edit(_SQL, "AND browser_sha256 = $3 AND", "AND $3::bytea IS NOT NULL AND"),),
        f"{_PEOPLE}/test_links.py::test_a_link_is_for_the_browser_that_asked_and_for_ten_minutes",
        _LET_IN,
    ),
    Mutant(
        "a link is dead after ten minutes",
        "it lives on",
        (Edit(_SQL, _USE_LINK, "AND used_at IS NULL\n"),),
        f"{_PEOPLE}/test_links.py::test_a_link_is_for_the_browser_that_asked_and_for_ten_minutes",
        _LET_IN,
    ),
    Mutant(
        "an invitation is for its address",
        "for whoever has it",
        (
            Edit(
                f"{_TENANCY}/members/invitations.py",
                ' or found["email"].lower() != account["email"].lower():',
                ":",
            ),
        ),
        f"{_PEOPLE}/test_members.py::test_nobody_else_can_use_it_not_even_with_its_token",
        _LET_IN,
    ),
)

SESSIONS = (
    Mutant(
        "who signs in has a token that nobody put there",
        "the one that the browser showed",
        (
            Edit(
                f"{_GATEWAY}/identity/endpoints.py",
                "    return _signed_in(response, visitor, await visitor.ask(SIGN_IN, body))",
                "    shape = _signed_in(response, visitor, await visitor.ask(SIGN_IN, body))\n"
                "    held = presented(request, SESSION)\n"
                "    if held is not None:\n"
                "        set_session(response, held, 600)\n"
                "    return shape",
            ),
        ),
        f"{_ATTACKS}::test_no_token_of_before_is_good_for_what_one_may_do_afterwards",
        r"AssertionError: signing in",
    ),
    Mutant(
        "a new password ends the other sessions",
        "they go on",
        (Edit(f"{_TENANCY}/identity/accounts.py", "conn, user, and_others=True)", "conn, user)"),),
        f"{_SESSIONS}::test_a_new_password_keeps_this_session_in_its_tenant_and_ends_the_others",
        _LET_IN,
    ),
    Mutant(
        "a new password, by link, ends every session",
        "they go on",
        (Edit(f"{_TENANCY}/identity/links.py", 'await self._sessions.end_all(conn, account["id"])', "pass"),),
        f"{_LINKS}::test_choosing_a_new_password_ends_every_session",
        _LET_IN,
    ),
    Mutant(
        "who may do more has another token",
        "the one of before is good for a tenant too",
        (
            Edit(
                f"{_TENANCY}/identity/sessions.py",
                "        await conn.fetchval(sql.END_SESSION, user.session_id, user.account_id, self._clock.now())\n",
                "",
            ),
        ),
        f"{_ATTACKS}::test_no_token_of_before_is_good_for_what_one_may_do_afterwards",
        r"AssertionError: choosing a tenant",
    ),
    Mutant(
        "half a session ends with its code",
        "it goes on",
        (
            Edit(
                f"{_TENANCY}/identity/totp.py",
                '            if not await conn.fetchval(sql.END_SESSION, waiting["id"], account["id"], self._clock.now()):\n'
                "                raise NotAuthenticated(_WRONG)  # a code that was sent twice at once: "
                "one session comes of it\n",
                "",
            ),
        ),
        f"{_PEOPLE}/test_second_factor.py::test_a_password_alone_is_a_session_that_can_do_nothing",
        _LET_IN,
    ),
    Mutant(
        "somebody who is disabled is out",
        "sessions that were not ended go on",
        (Edit(_LOOK_UPS, "a.id = s.account_id AND a.disabled_at IS NULL", "a.id = s.account_id"),),
        f"{_SESSIONS}::test_an_account_that_is_disabled_without_ending_its_sessions_is_out_as_well",
        _LET_IN,
    ),
    Mutant(
        "another site can't use somebody's session",
        "every page can",
        (
            Edit(
                f"{_GATEWAY}/access/same_origin.py",
                'if sites == ["same-origin"] or (not sites and origins == [console]):',
                "if True:",
            ),
        ),
        f"{_EDGE}/test_signing_in.py::test_another_site_can_not_use_somebodys_session",
        r"AssertionError: .*problem:not-found",
    ),
)

KEYS = (
    Mutant(
        "half a session is none",
        "nobody looks",
        (Edit(f"{_TENANCY}/identity/sessions.py", 'if row["stage"] != "full":', "if False:"),),
        f"{_ATTACKS}::test_no_credential_is_taken_for_one_of_another_kind",
        r"half a session as session, written as secret: 200",
    ),
    Mutant(
        "a session that is whole is no half one",
        "it gets another with a code",
        (Edit(_SQL, "token_sha256 = $1 AND stage = 'second_factor' AND ended_at", "token_sha256 = $1 AND ended_at"),),
        f"{_ATTACKS}::test_no_credential_is_taken_for_one_of_another_kind",
        r"session as second_factor, written as secret: 200",
    ),
    Mutant(
        "a revoked key is out",
        "it is let in",
        (Edit(_LOOK_UPS, "WHERE k.id = p_id AND k.revoked_at IS NULL", "WHERE k.id = p_id"),),
        f"{_PEOPLE}/test_keys.py::test_a_revoked_key_is_out_at_the_next_request",
        _LET_IN,
    ),
    Mutant(
        "an expired key is out",
        "it is let in",
        (
            Edit(
                f"{_TENANCY}/keys/service.py",
                'or (found["expires_at"] is not None and found["expires_at"] <= now):',
                "or False:",
            ),
        ),
        f"{_PEOPLE}/test_keys.py::test_an_expired_key_is_answered_like_an_unknown_one",
        _LET_IN,
    ),
    Mutant(
        "an unknown key takes as long as a wrong one",
        "it is refused before anything is compared",
        (
            Edit(
                f"{_TENANCY}/keys/service.py",
                "        held = _NOBODYS if found is None else",
                '        if found is None:\n            raise NotAuthenticated("that API key is not valid")\n'
                "        held = _NOBODYS if found is None else",
            ),
        ),
        f"{_PEOPLE}/test_keys.py::test_the_same_is_compared_for_every_key_that_is_not_let_in",
        r"assert \[\] == \[\(32, 32\)\]",
    ),
)

REPLAY = (
    Mutant(
        "a code is good once",
        "again and again",
        (Edit(_SQL, "WHERE id = $1 AND totp_step < $2 RETURNING true", "WHERE id = $1 RETURNING true"),),
        f"{_PEOPLE}/test_second_factor.py::test_a_code_works_once_also_for_twenty_at_once",
        r"assert \d+ == 1",
    ),
    Mutant(
        "an event that is sent again counts once",
        "it counts again",
        (
            Edit(
                f"{_GATEWAY}/webhooks/livekit.py",
                "message_id=message_id_of(hint.event_id)",
                "message_id=found.bus.ids.new()",
            ),
        ),
        f"{_EDGE}/test_livekit_webhook.py::test_an_event_becomes_a_hint_once",
        r"AssertionError: the repeated event was dropped",
    ),
    Mutant(
        "a link is good once",
        "again and again",
        (Edit(_SQL, _USE_LINK, "AND expires_at > $4\n"),),
        f"{_ATTACKS}::test_what_was_used_is_of_no_use_again",
        r"AssertionError: a link",
    ),
)

GUESSING = (
    Mutant(
        "passwords are counted by account",
        "signing in is not",
        (
            Edit(
                f"{_GATEWAY}/identity/endpoints.py",
                '    """Sign in with address and password."""\n    await count_account(request, form.email)\n',
                '    """Sign in with address and password."""\n',
            ),
        ),
        f"{_EDGE}/test_rate_limits.py::test_whatever_signs_somebody_in_is_counted_by_account[sign-in]",
        r"assert \[404, 404, 404\]",
    ),
    Mutant(
        "a session takes so many codes",
        "any number",
        (Edit(_SQL, "AND expires_at > $2 AND attempts < $3\n", "AND expires_at > $2 AND $3::int > 0\n"),),
        f"{_PEOPLE}/test_second_factor.py::test_guessing_has_an_end",
        _LET_IN,
    ),
    Mutant(
        "an account takes so many codes",
        "any number, five for each signing in",
        (
            Edit(
                f"{_TENANCY}/identity/totp.py",
                'if waiting is None or await self._guessed(waiting["account_id"]):',
                "if waiting is None:",
            ),
        ),
        f"{_PEOPLE}/test_second_factor.py::test_signing_in_again_and_again_does_not_help_guessing",
        _LET_IN,
    ),
)

ENUMERATION = (
    Mutant(
        "an unknown address costs as much as a known one",
        "no password is checked for it",
        (
            Edit(
                f"{_TENANCY}/identity/passwords.py",
                "lambda: _verified(held or _NOBODYS, password)",
                "lambda: held is not None and _verified(held, password)",
            ),
        ),
        _ALIKE,
        r"AssertionError: sign in",
    ),
    Mutant(
        "an unknown address gets a mail too",
        "it gets none",
        (Edit(f"{_TENANCY}/identity/links.py", "if sent < MOST:", "if sent < MOST and known:"),),
        _ALIKE,
        r"in mailed[\s\S]*TimeoutError",
    ),
    Mutant(
        "a disabled account is like none",
        "its password is checked",
        (
            Edit(
                f"{_TENANCY}/identity/accounts.py",
                'None if account is None or account["disabled_at"] is not None else',
                "None if account is None else",
            ),
        ),
        f"{_LINKS}::test_a_disabled_account_tells_nobody_that_the_password_is_right",
        r"LOCK_ACCOUNT",
    ),
)

FORMS = (
    Mutant(
        "a form takes the fields that it has",
        "others are passed over in silence",
        (
            Edit(
                f"{_GATEWAY}/schemas.py",
                'ConfigDict(extra="forbid", frozen=True',
                'ConfigDict(extra="ignore", frozen=True',
            ),
        ),
        f"{_ATTACKS}::test_no_form_takes_a_field_that_says_who_one_is",
        r"POST /v1/locations: tenant_id",
    ),
)

SIGNED = (
    Mutant(
        "a webhook's token is for its body",
        "the body's hash is not looked at",
        (
            Edit(_VERIFIER, "import ParseError", "import Parse, ParseError"),
            Edit(
                _VERIFIER,
                _RECEIVED,
                'self._receiver._verifier.verify(authorization.removeprefix("Bearer "))\n'
                "            return Parse(text, WebhookEvent(), ignore_unknown_fields=True)",
            ),
        ),
        _FORGED,
        r"AssertionError: of another body",
    ),
    Mutant(
        "a webhook's token is signed by HS256",
        "any HMAC will do",
        (
            Edit(_VERIFIER, "import ParseError", "import Parse, ParseError"),
            Edit(
                _VERIFIER,
                _RECEIVED,
                'verifier, sent = self._receiver._verifier, authorization.removeprefix("Bearer ")\n'
                '            if jwt.get_unverified_header(sent)["alg"] in ("HS384", "HS512"):\n'
                '                jwt.decode(sent, verifier.api_secret, ["HS384", "HS512"], issuer=verifier.api_key)\n'
                "                return Parse(text, WebhookEvent(), ignore_unknown_fields=True)\n"
                f"            {_RECEIVED}",
            ),
        ),
        _FORGED,
        r"AssertionError: (HS384|HS512)",
    ),
    Mutant(
        "a webhook is signed by our key",
        "nobody looks at the signature",
        (
            Edit(_VERIFIER, "import ParseError", "import Parse, ParseError"),
            Edit(
                _VERIFIER,
                _RECEIVED,
                'self._receiver._verifier.verify(authorization.removeprefix("Bearer "), verify_signature=False)\n'
                "            return Parse(text, WebhookEvent(), ignore_unknown_fields=True)",
            ),
        ),
        _FORGED,
        r"AssertionError: wrong secret",
    ),
    Mutant(
        "a cursor is signed",
        "nobody looks at the signature",
        (
            Edit(
                f"{_GATEWAY}/cursors.py",
                " or not any(hmac.compare_digest(mac, _mac(key, purpose, content)) for key in self.keys):",
                " or not mac:",
            ),
        ),
        "services/api-gateway/tests/unit/test_cursors.py::test_it_is_good_for_its_list_and_its_tenant_only",
        _LET_IN,
    ),
)

MUTANTS = LINKS + SESSIONS + KEYS + REPLAY + GUESSING + ENUMERATION + FORMS + SIGNED
