"""How far the use of a project, and of its keys, is limited. A change counts from the next request on."""

from __future__ import annotations

from dataclasses import asdict

from sovereign.accounts import audit
from sovereign.accounts.models import ApiKey, Limit, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import KEYS_MANAGE
from sovereign.accounts.services.guards import require_in
from sovereign.accounts.services.quotas import NONE, Limits
from sovereign.core.database import service
from sovereign.core.errors import ApiError, not_found

#: the most that may be set: what counts it stays a small row, and a number that every database can hold
HIGHEST = Limits(
    requests_per_minute=1_000_000, tokens_per_minute=1_000_000_000, tokens_per_day=10**12, concurrent_calls=1_000
)


@service
def set_project_limits(*, project: Project, limits: Limits, by: int | None = None) -> Limit | None:
    """What the whole project may use, with all of its keys and people. Only superusers get here.

    :param by: the id of the superuser who does it; ``None`` for the operator.
    :returns: ``None`` where nothing is limited any more.
    :raises ApiError: a number that is none, or too high.
    """
    _require_numbers(limits)
    _lock(project.pk)
    row = Limit.objects.filter(project=project, key=None).first() or Limit(project=project)
    before = stated(row)
    if before != limits:
        audit.record_of_person(by, "project.limits_changed", project, before=_shown(before), limits=_shown(limits))
    return _store(row, limits)


@service
def set_key_limits(*, key: ApiKey, limits: Limits, principal: Principal | None = None) -> Limit | None:
    """What one key may use, which is no more than its project may. Where the project's limits fall later, both apply.

    :returns: ``None`` where the key itself is not limited any more.
    :raises ApiError: no right to, a number that is none, or more than the project's.
    """
    require_in(principal, key.project_id, KEYS_MANAGE)
    _require_numbers(limits)
    _lock(key.project_id)
    project = Limit.objects.filter(project=key.project_id, key=None).first()
    row = Limit.objects.filter(key=key).first() or Limit(project_id=key.project_id, key=key)
    before = stated(row)
    if before == limits:
        return row if row.pk else None
    _require_less(limits, stated(project) if project else NONE)
    audit.record(principal, "api_key.limits_changed", key, before=_shown(before), limits=_shown(limits))
    return _store(row, limits)


def stated(row: Limit) -> Limits:
    """What a row says."""
    return Limits(**{name: getattr(row, name) for name in asdict(NONE)})


def _store(row: Limit, limits: Limits) -> Limit | None:
    if limits == NONE:
        if row.pk:
            row.delete()
        return None
    for name, number in asdict(limits).items():
        setattr(row, name, number)
    row.save()
    return row


def _lock(project_id: str) -> None:
    """A key's limits are compared with its project's, which must not change meanwhile.

    :raises ApiError: 404, the project is gone.
    """
    if Project.objects.select_for_update(no_key=True).filter(pk=project_id).first() is None:
        raise not_found("project", project_id)


def _require_numbers(limits: Limits) -> None:
    for name, number in asdict(limits).items():
        highest = getattr(HIGHEST, name)
        if number is not None and not 1 <= number <= highest:
            raise ApiError(
                f"Invalid '{name}': expected a number from 1 to {highest}, or nothing for no limit.",
                param=name,
                code="invalid_value",
            )


def _require_less(limits: Limits, most: Limits) -> None:
    for name, number in asdict(limits).items():
        highest = getattr(most, name)
        if number is not None and highest is not None and number > highest:
            raise ApiError(
                f"Invalid '{name}': the project has {highest}, and a key of it can have no more.",
                param=name,
                code="invalid_value",
            )


def _shown(limits: Limits) -> dict[str, int]:
    return {name: number for name, number in asdict(limits).items() if number is not None}
