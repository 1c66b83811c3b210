"""API keys are made and revoked. The secret leaves this module once, as a return value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from sovereign.accounts import audit, tokens
from sovereign.accounts.models import ApiKey, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES, KEYS_MANAGE, known
from sovereign.accounts.services.guards import require_in, require_text
from sovereign.core.database import service
from sovereign.core.errors import ApiError, forbidden

MINIMUM_LENGTH = 32  # characters of a key that the operator chose
SHOWN = 64  # of what somebody sent that an error repeats

#: What a key may be bound to, names and titles; the rooms above fill this in when they start.
environments: dict[str, str] = {}


@service
def create_api_key(
    *,
    project: Project,
    name: str = "API key",
    scopes: Iterable[str] = DEFAULT_KEY_SCOPES,
    expires_at: datetime | None = None,
    environment: str | None = None,
    secret: str | None = None,
    principal: Principal | None = None,
) -> tuple[ApiKey, str]:
    """A new key, and its secret: show it once, it is stored nowhere.

    :param environment: whose deployments its runs use; without one it is the assistants as they were last written.
    :param secret: the operator's own key (``SOVEREIGN_API_KEY``), at least 32 characters of any form.
    :raises ApiError: no right to, more scopes than the principal has, an expiry in the past, an unknown environment, a
        short secret.
    """
    require_in(principal, project.pk, KEYS_MANAGE)
    granted = known(scopes)
    if principal is not None and (missing := sorted(set(granted) - principal.scopes)):
        raise forbidden(missing[0])  # nobody hands out what they do not have
    if expires_at is not None and expires_at <= timezone.now():
        raise ApiError("The expiry of an API key must be in the future.", param="expires_at", code="invalid_value")
    plain = _acceptable(secret) if secret is not None else tokens.new_api_key()
    key = ApiKey.objects.create(
        project=project,
        created_by_id=principal.user_id if principal else None,
        name=require_text(name, param="name"),
        lookup=tokens.lookup_of(plain),
        digest=tokens.digest_of(plain),
        scopes=granted,
        environment=_known_environment(environment),
        expires_at=expires_at,
    )
    details = {"name": key.name, "scopes": granted, "expires_at": expires_at, "environment": key.environment}
    audit.record(principal, "api_key.created", key, **details)
    return key, plain


@service
def revoke_api_key(*, key: ApiKey, principal: Principal | None = None) -> ApiKey:
    """The key is refused from now on, on open sockets too. Revoking twice changes nothing."""
    require_in(principal, key.project_id, KEYS_MANAGE)
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(principal, "api_key.revoked", key, name=key.name)
    key.refresh_from_db()
    return key


def _known_environment(name: str | None) -> str | None:
    if not name or name in environments:
        return name or None
    raise ApiError(
        f"Unknown environment: '{name[:SHOWN]}'. Supported values are: {', '.join(environments)}.",
        param="environment",
        code="invalid_value",
    )


def _acceptable(secret: str) -> str:
    printable = all("!" <= character <= "~" for character in secret)
    if not printable or not MINIMUM_LENGTH <= len(secret) <= tokens.MAXIMUM_LENGTH:
        raise ApiError(
            f"An API key of your own needs {MINIMUM_LENGTH} to {tokens.MAXIMUM_LENGTH} printable ASCII characters "
            "without spaces.",
            param="secret",
            code="invalid_value",
        )
    return secret
