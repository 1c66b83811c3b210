"""A key gets another secret. The one before stays good for a while, so that applications have time to take the new one.

The key itself stays: its id, its limits, its environment and what is known of its use.
"""

from __future__ import annotations

from datetime import timedelta

from sovereign.accounts import audit, tokens
from sovereign.accounts.models import ApiKey, RetiredSecret
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import KEYS_MANAGE
from sovereign.accounts.services.guards import require_in
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError, forbidden, not_found

LONGEST_OVERLAP = timedelta(days=30)
DEFAULT_OVERLAP = timedelta(days=1)
MOST_OLD_SECRETS = 5  # of one key that are good at the same time


@service
def rotate_api_key(
    *, key: ApiKey, overlap: timedelta = DEFAULT_OVERLAP, principal: Principal | None = None
) -> tuple[ApiKey, str]:
    """Give a key a new secret, and return it: show it once, it is stored nowhere.

    :param overlap: how long the secret that it had is still taken; none at all refuses it from now on.
    :raises ApiError: no right to, a key with more scopes than the principal has, one that is revoked or expired, too
        long an overlap, or too many secrets before this one that are still good.
    """
    require_in(principal, key.project_id, KEYS_MANAGE)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ApiError(
            f"The old secret can stay good for at most {LONGEST_OVERLAP.days} days.",
            param="overlap",
            code="invalid_value",
        )
    current = _locked(key)
    if principal is not None and (missing := sorted(set(current.scopes) - principal.scopes)):
        raise forbidden(missing[0])  # a secret is handed out with all that the key may do
    if current.state != "active":
        raise ApiError(f"A key that is {current.state} gets no new secret: make another key.", code="invalid_status")
    instant = now()
    if overlap and current.retired_secrets.in_force(instant).count() >= MOST_OLD_SECRETS:
        raise ApiError(
            f"{MOST_OLD_SECRETS} secrets of this key are good until their time is over. End them first.",
            code="too_many_secrets",
        )
    RetiredSecret.objects.create(
        key=current,
        lookup=current.lookup,
        digest=current.digest,
        retired_at=instant,
        valid_until=instant + overlap,
        last_used_at=current.last_used_at,
    )
    secret = tokens.new_api_key()
    current.lookup, current.digest = tokens.lookup_of(secret), tokens.digest_of(secret)
    current.rotated_at, current.last_used_at = instant, None
    current.save(update_fields=["lookup", "digest", "rotated_at", "last_used_at"])
    audit.record(principal, "api_key.rotated", current, name=current.name, old_secret_until=instant + overlap)
    return current, secret


@service
def end_old_secrets(*, key: ApiKey, principal: Principal | None = None) -> int:
    """What a key had before is refused from now on; how many secrets that were."""
    require_in(principal, key.project_id, KEYS_MANAGE)
    current, instant = _locked(key), now()
    ended = current.retired_secrets.in_force(instant).update(valid_until=instant)
    if ended:
        audit.record(principal, "api_key.old_secrets_ended", current, name=current.name, secrets=ended)
    return ended


def is_known(secret: str) -> bool:
    """Whether a key has this secret, or had it once: one that was replaced on purpose is made no key anew."""
    lookup = tokens.lookup_of(secret)
    return ApiKey.objects.filter(lookup=lookup).exists() or RetiredSecret.objects.filter(lookup=lookup).exists()


def _locked(key: ApiKey) -> ApiKey:
    current = ApiKey.objects.select_for_update(no_key=True).filter(pk=key.pk).first()
    if current is None:
        raise not_found("API key", key.pk)
    return current
