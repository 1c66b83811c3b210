"""The one reader of credentials: every door (API, WebSocket) learns here who is asking, and nowhere else.

An API key comes as ``Authorization: Bearer``, ``X-API-Key`` or Basic with a blank user name and the key as password;
a person comes with a session; a WebSocket may come with a ticket in its query.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from sovereign.accounts import tokens
from sovereign.accounts.models import ApiKey, Membership, RetiredSecret, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ROLE_SCOPES
from sovereign.accounts.services.tickets import redeem_ticket
from sovereign.core.database import Prepared, service
from sovereign.core.errors import ApiError, unauthorized

log = structlog.get_logger(__name__)

LAST_USED_RESOLUTION = timedelta(minutes=1)
COLUMNS_READ = ("digest", "scopes", "environment", "project_id", "revoked_at", "expires_at", "last_used_at")
#: what every request begins with
_KEY = Prepared(
    lambda lookup: (
        ApiKey.objects.filter(lookup=lookup)
        .order_by()
        .only(*COLUMNS_READ)
        .annotate(project_archived_at=F("project__archived_at"))
    )
)
SESSION_PROJECT = "project"  # the session's key of a person's active project
#: how a page says which project it is about, whatever the session has turned to since; a WebSocket says ``?project=``
PAGE_PROJECT = "X-Sovereign-Project"

SessionUser = AbstractBaseUser | AnonymousUser | None


@dataclass(frozen=True, slots=True)
class Login:
    """The session that a person came with: it ends with their logout and with a change of their password."""

    session_key: str
    password_seal: str  # Django's: a keyed digest of the password's hash


def read(
    headers: Mapping[str, str],
    session_user: SessionUser = None,
    query: Mapping[str, str] | None = None,
    *,
    session_project: str | None = None,
) -> Principal:
    """Who is asking.

    :param headers: case-insensitive (``request.headers``, or ``headers_of_scope`` for a WebSocket).
    :param session_user: the person of a checked session, if any; a key in the headers goes before it.
    :param query: given by WebSocket doors only: no other door takes a ticket.
    :param session_project: ``session.get(SESSION_PROJECT)``.
    :raises ApiError: 401 for missing, wrong, expired and revoked credentials; 403 for a person without a project.
    """
    principal = read_if_any(headers, session_user, query, session_project=session_project)
    if principal is None:
        raise missing_key()
    return principal


def read_if_any(
    headers: Mapping[str, str],
    session_user: SessionUser = None,
    query: Mapping[str, str] | None = None,
    *,
    session_project: str | None = None,
) -> Principal | None:
    """As ``read``, but ``None`` where no credentials were given at all."""
    secret = _secret_in(headers)
    if secret is not None:
        return principal_of_key(secret)
    if query and (ticket := query.get("ticket")) is not None:
        return _principal_of_ticket(ticket)
    if session_user is not None and session_user.is_authenticated and session_user.is_active:
        named = headers.get(PAGE_PROJECT) or (query or {}).get("project")
        principal = principal_of_person(int(session_user.pk), named or session_project)
        if named and principal.project_id != named:
            raise ApiError("You are not a member of this page's project any more.", status=403, code="no_project")
        return principal
    return None


def headers_of_scope(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of an ASGI scope (lower case there) as ``read`` takes them."""
    return {name.decode("latin-1").title(): value.decode("latin-1") for name, value in headers}


def principal_of_key(secret: str) -> Principal:
    """One SELECT, and at most once a minute one UPDATE. A secret that was replaced takes one SELECT more.

    :raises ApiError: 401.
    """
    key, used = _key_of(secret)
    moment = timezone.now()
    if key.revoked_at is not None:
        raise unauthorized("This API key was revoked. Ask your administrator for another.", "api_key_revoked")
    if key.expires_at is not None and key.expires_at <= moment:
        raise unauthorized("This API key has expired. Ask your administrator for another.", "api_key_expired")
    if used.last_used_at is None or used.last_used_at <= moment - LAST_USED_RESOLUTION:
        _note_use(used)
    return Principal(
        project_id=key.project_id,
        key_id=key.pk,
        secret=tokens.lookup_of(secret),
        scopes=frozenset(key.scopes),
        environment=key.environment,
    )


def principal_of_person(user_id: int, preferred_project: str | None = None) -> Principal:
    """A person in the project they chose, or else in the first they joined.

    :raises ApiError: 403, a member of no project.
    """
    memberships = list(Membership.objects.in_force().filter(user_id=user_id).order_by("created_at", "id"))
    if not memberships:
        raise ApiError("You are not a member of any project. Ask an administrator.", status=403, code="no_project")
    membership = next((m for m in memberships if m.project_id == preferred_project), memberships[0])
    return principal_of_membership(membership)


def person_in(user_id: int, project_id: str) -> Principal | None:
    """A person in this project, and in no other."""
    membership: Membership | None = (
        Membership.objects.in_force().filter(user_id=user_id, project_id=project_id).order_by().first()
    )
    return None if membership is None else principal_of_membership(membership)


def principal_of_membership(membership: Membership) -> Principal:
    return Principal(
        project_id=membership.project_id,
        user_id=membership.user_id,
        role=membership.role,
        scopes=ROLE_SCOPES[membership.role],
    )


def login_of(principal: Principal, session: Any) -> Login | None:
    """The login behind a principal; ``None`` for keys, and for a ticket that came without its person's session."""
    if principal.user_id is None or session.get(SESSION_KEY) != str(principal.user_id):
        return None
    return Login(session.session_key, session.get(HASH_SESSION_KEY, ""))


def still_valid(principal: Principal, login: Login | None = None) -> bool:
    """Whether an open socket's or stream's principal still has all of its rights, to be asked again and again.

    One query, and for a person with a session a second one.
    """
    if principal.key_id is not None:
        moment = timezone.now()
        keys = ApiKey.objects.in_force(moment).filter(pk=principal.key_id, project_id=principal.project_id)
        if principal.secret is not None:
            retired = RetiredSecret.objects.in_force(moment).filter(key=OuterRef("pk"), lookup=principal.secret)
            keys = keys.filter(Q(lookup=principal.secret) | Exists(retired))
        scopes = keys.values_list("scopes", flat=True).first()
        return scopes is not None and principal.scopes.issubset(scopes)
    if principal.user_id is None:
        return False
    memberships = Membership.objects.in_force().filter(user_id=principal.user_id, project_id=principal.project_id)
    role = memberships.values_list("role", flat=True).first()
    if role is None or not principal.scopes <= ROLE_SCOPES[role]:
        return False
    return login is None or _is_open(login, principal.user_id)


def _is_open(login: Login, user_id: int) -> bool:
    sessions = Session.objects.filter(session_key=login.session_key, expire_date__gt=timezone.now())
    user = User.objects.filter(Exists(sessions), pk=user_id).only("password").first()
    return user is not None and hmac.compare_digest(user.get_session_auth_hash(), login.password_seal)


def missing_key() -> ApiError:
    """Error E2 of the contract."""
    return unauthorized(
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing "
        "the API from your browser and are prompted for a username and password. You can obtain an API key from "
        f"{_keys_page()}."
    )


def wrong_key(secret: str) -> ApiError:
    """Error E1 of the contract."""
    return unauthorized(
        f"Incorrect API key provided: {tokens.masked(secret)}. You can find your API key at {_keys_page()}.",
        "invalid_api_key",
    )


def _keys_page() -> str:
    return f"{settings.SOVEREIGN.base_url}/admin/accounts/apikey/"


def _secret_in(headers: Mapping[str, str]) -> str | None:
    """The key that the headers carry; a header in a form that is not ours counts as none."""
    scheme, _, value = headers.get("Authorization", "").strip().partition(" ")
    value = value.strip()
    if value and scheme.lower() == "bearer":
        return value
    if value and scheme.lower() == "basic" and (password := _password_of(value)):
        return password
    return headers.get("X-Api-Key", "").strip() or None


def _password_of(basic: str) -> str | None:
    """The password of Basic credentials whose user name is blank."""
    try:
        user, _, password = base64.b64decode(basic, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if not user else None


def _key_of(secret: str) -> tuple[ApiKey, ApiKey | RetiredSecret]:
    """The key, and the row that has this secret: its own, or that of one before it which is still taken."""
    if len(secret) > tokens.MAXIMUM_LENGTH:
        raise wrong_key(secret)
    key: Any = next(iter(ApiKey.objects.raw(*_KEY.with_values(tokens.lookup_of(secret)))), None)
    if key is None or not hmac.compare_digest(key.digest, tokens.digest_of(secret)):
        retired = _retired(secret)
        key, archived_at = retired.key, retired.key.project.archived_at
    else:
        retired, archived_at = None, key.project_archived_at
    if archived_at is not None:
        raise unauthorized("The project of this API key is archived.", "project_archived")
    return key, retired or key


def _retired(secret: str) -> RetiredSecret:
    """:raises ApiError: 401: no key ever had it, or it was replaced and its time is over."""
    found = RetiredSecret.objects.filter(lookup=tokens.lookup_of(secret)).select_related("key__project").first()
    if found is None or not hmac.compare_digest(found.digest, tokens.digest_of(secret)):
        raise wrong_key(secret)
    if found.valid_until <= timezone.now():
        raise unauthorized("This API key was replaced by a new one. Ask your administrator for it.", "api_key_rotated")
    return found


def _principal_of_ticket(text: str) -> Principal:
    principal = redeem_ticket(text)
    if principal is None or not still_valid(principal):
        raise unauthorized("This ticket is unknown, used or older than 30 seconds.", "invalid_ticket")
    return principal


def _note_use(used: ApiKey | RetiredSecret) -> None:
    """Write ``last_used_at``; a database that cannot be written at the moment must not refuse a reader."""
    try:
        _write_use(used)
    except DatabaseError as error:
        log.warning("last_used_not_written", key=used.pk, error=type(error).__name__)


@service
def _write_use(used: ApiKey | RetiredSecret) -> None:
    moment = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lte=moment - LAST_USED_RESOLUTION)
    type(used).objects.filter(stale, pk=used.pk).update(last_used_at=moment)
