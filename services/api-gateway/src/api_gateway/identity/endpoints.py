"""People: signing up and in, their sessions, their second factor, their tenants."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Request, Response
from switchboard.contracts.base import Empty
from switchboard.contracts.identity import (
    BEGIN_TOTP,
    CHANGE_PASSWORD,
    CHOOSE_TENANT,
    CONFIRM_TOTP,
    DISABLE_TOTP,
    END_SESSION,
    LIST_SESSIONS,
    ME,
    NEW_TENANT,
    REDEEM_LINK,
    SECOND_FACTOR,
    SIGN_IN,
    WANT_LINK,
    ChangePassword,
    ChooseTenant,
    Code,
    EndSession,
    LinkPurpose,
    NewTenant,
    RedeemLink,
    SecondFactor,
    SignedIn,
    SignIn,
    WantLink,
)
from switchboard.errors import NotAuthenticated
from switchboard.sealed import Sealed

from api_gateway.access.caller import Newcomer, Person, Visitor
from api_gateway.access.cookies import (
    BROWSER,
    SESSION,
    clear_session,
    digest,
    presented,
    set_browser,
    set_session,
)
from api_gateway.access.identifiers import SessionIdInPath
from api_gateway.access.links import parse_link
from api_gateway.access.repeating import Once
from api_gateway.identity.schemas import (
    ChooseForm,
    CodeForm,
    EmailForm,
    MailedShape,
    MeShape,
    PasswordForm,
    RecoveryCodesShape,
    RedeemForm,
    SessionsShape,
    SignedInShape,
    SignInForm,
    SignUpForm,
    TenantForm,
    TenantMadeShape,
    TotpShape,
)
from api_gateway.limits.middleware import count_account

router = APIRouter(prefix="/v1")
_AUTH: list[str | Enum] = ["signing in"]
_ME: list[str | Enum] = ["me"]

_NOT_A_LINK = (
    "that link can't be used: it is wrong, too old, was used, or belongs to another browser; ask for a new one"
)


# -- signing in -------------------------------------------------------------------------------------------------------


async def _mailed(
    request: Request,
    response: Response,
    visitor: Visitor,
    purpose: LinkPurpose,
    email: str,
    password: str | None = None,
) -> MailedShape:
    """Asks for a link that only this browser can use."""
    secret = presented(request, BROWSER) or visitor.resources.entropy(32).hex()
    set_browser(response, secret)
    sealed = None if password is None else Sealed(password)
    wanted = WantLink(purpose=purpose, email=Sealed(email), password=sealed, browser_sha256=digest(secret))
    await visitor.ask(WANT_LINK, wanted)
    return MailedShape()


def _signed_in(response: Response, visitor: Visitor, session: SignedIn) -> SignedInShape:
    left = session.expires_at - visitor.resources.clock.now()
    set_session(response, str(session.token), left.total_seconds())
    return SignedInShape(second_factor=session.second_factor, expires_at=session.expires_at)


@router.post("/auth/sign-up", status_code=202, tags=_AUTH)
async def sign_up(request: Request, response: Response, visitor: Newcomer, form: SignUpForm) -> MailedShape:
    """Open an account. A link by mail finishes it."""
    await count_account(request, form.email)
    return await _mailed(request, response, visitor, "sign_up", form.email, form.password)


@router.post("/auth/link", status_code=202, tags=_AUTH)
async def send_link(request: Request, response: Response, visitor: Newcomer, form: EmailForm) -> MailedShape:
    """Sign in without a password: a link comes by mail."""
    await count_account(request, form.email)
    return await _mailed(request, response, visitor, "sign_in", form.email)


@router.post("/auth/reset", status_code=202, tags=_AUTH)
async def send_reset(request: Request, response: Response, visitor: Newcomer, form: EmailForm) -> MailedShape:
    """Choose a new password: a link comes by mail."""
    await count_account(request, form.email)
    return await _mailed(request, response, visitor, "reset", form.email)


@router.post("/auth/redeem", tags=_AUTH)
async def redeem(request: Request, response: Response, visitor: Newcomer, form: RedeemForm) -> SignedInShape:
    """Use a link that came by mail, in the browser that asked for it."""
    link = parse_link(form.token)
    browser = presented(request, BROWSER)
    if link is None or browser is None:
        raise NotAuthenticated(_NOT_A_LINK)
    body = RedeemLink(
        link_id=link[0],
        secret_sha256=link[1],
        browser_sha256=digest(browser),
        password=None if form.password is None else Sealed(form.password),
    )
    return _signed_in(response, visitor, await visitor.ask(REDEEM_LINK, body))


@router.post("/auth/sign-in", tags=_AUTH)
async def sign_in(request: Request, response: Response, visitor: Newcomer, form: SignInForm) -> SignedInShape:
    """Sign in with address and password."""
    await count_account(request, form.email)
    body = SignIn(email=Sealed(form.email), password=Sealed(form.password))
    return _signed_in(response, visitor, await visitor.ask(SIGN_IN, body))


@router.post("/auth/second-factor", tags=_AUTH)
async def second_factor(request: Request, response: Response, visitor: Newcomer, form: CodeForm) -> SignedInShape:
    """Finish signing in with a code of the authenticator, or a recovery code."""
    secret = presented(request, SESSION)
    if secret is None:
        raise NotAuthenticated("sign in first")
    body = SecondFactor(token_sha256=digest(secret), code=Sealed(form.code))
    return _signed_in(response, visitor, await visitor.ask(SECOND_FACTOR, body))


# -- me ---------------------------------------------------------------------------------------------------------------


@router.get("/me", tags=_ME)
async def get_me(person: Person) -> MeShape:
    """You, your tenants, and the one that this session is in."""
    return MeShape.of(await person.ask(ME, Empty()))


@router.delete("/me/session", status_code=204, tags=_ME)
async def sign_out(person: Person) -> Response:
    """End this session."""
    if person.actor.session_id is not None:
        await person.ask(END_SESSION, EndSession(session_id=person.actor.session_id))
    else:
        await person.ask(ME, Empty())  # whoever has no session is told so by the one who decides
    response = Response(status_code=204)
    clear_session(response)
    return response


@router.get("/me/sessions", tags=_ME)
async def list_sessions(person: Person) -> SessionsShape:
    """Where you are signed in."""
    return SessionsShape.of(await person.ask(LIST_SESSIONS, Empty()))


@router.delete("/me/sessions/{session_id}", status_code=204, tags=_ME)
async def end_session(session_id: SessionIdInPath, person: Person) -> Response:
    """End one of your sessions. Its next request is refused."""
    await person.ask(END_SESSION, EndSession(session_id=session_id))
    return Response(status_code=204)


@router.put("/me/password", tags=_ME)
async def change_password(request: Request, response: Response, person: Person, form: PasswordForm) -> SignedInShape:
    """Change your password. Every other session of yours ends."""
    # Who has somebody's open session must not try passwords with it.
    await count_account(request, person.actor.id)
    current = None if form.current is None else Sealed(form.current)
    body = ChangePassword(current=current, password=Sealed(form.password))
    return _signed_in(response, person, await person.ask(CHANGE_PASSWORD, body))


@router.post("/me/second-factor", status_code=201, tags=_ME)
async def begin_second_factor(person: Person) -> TotpShape:
    """A secret for your authenticator. It counts once a code is confirmed."""
    return TotpShape.of(await person.ask(BEGIN_TOTP, Empty()))


@router.post("/me/second-factor/confirm", tags=_ME)
async def confirm_second_factor(person: Person, form: CodeForm) -> RecoveryCodesShape:
    """From now on signing in takes a code. The recovery codes are shown this once."""
    return RecoveryCodesShape.of(await person.ask(CONFIRM_TOTP, Code(code=Sealed(form.code))))


@router.post("/me/second-factor/disable", status_code=204, tags=_ME)
async def disable_second_factor(person: Person, form: CodeForm) -> Response:
    """Sign in without a code again. It takes one."""
    await person.ask(DISABLE_TOTP, Code(code=Sealed(form.code)))
    return Response(status_code=204)


# -- my tenants -------------------------------------------------------------------------------------------------------


@router.post("/tenants", status_code=201, tags=_ME)
async def make_tenant(once: Once, person: Person, form: TenantForm) -> TenantMadeShape:
    """Open a clinic's account; you are its owner. Then choose it."""
    return TenantMadeShape.of(await once(person, form).ask(NEW_TENANT, form.to(NewTenant)))


@router.post("/me/tenant", tags=_ME)
async def choose_tenant(response: Response, person: Person, form: ChooseForm) -> SignedInShape:
    """Go to one of your tenants. The session gets a new cookie, and is in no other tenant any more."""
    return _signed_in(response, person, await person.ask(CHOOSE_TENANT, ChooseTenant(tenant_id=form.tenant_id)))
