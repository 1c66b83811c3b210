"""What a project expects of its assistants: read by whoever sees their grades, changed by those who promote."""

from __future__ import annotations

from collections.abc import Mapping

from runs.analytics.models import Expectations
from runs.analytics.standards import Standards
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ANALYTICS_READ, ASSISTANTS_PROMOTE
from sovereign.core.database import only_row, service
from sovereign.core.errors import ApiError


def standards_of(project_id: str) -> Standards:
    said: Expectations | None = only_row(Expectations.objects.filter(project_id=project_id))
    return Standards() if said is None else Standards.over_defaults(said.weights, said.targets)


def get_standards(*, principal: Principal) -> Standards:
    """:raises ApiError: 403."""
    principal.require(ANALYTICS_READ)
    return standards_of(principal.project_id)


@service
def change_standards(
    *,
    principal: Principal,
    weights: Mapping[str, float | None] | None = None,
    targets: Mapping[str, float | None] | None = None,
) -> Standards:
    """Change those that are given; ``None`` brings a default back.

    :param weights: by the names of parts; one of 0 does not count.
    :param targets: by their names: see ``standards.TARGETS``.
    :raises ApiError: 403; 400, nothing would weigh anything.
    """
    principal.require(ASSISTANTS_PROMOTE)
    Expectations.objects.get_or_create(project_id=principal.project_id)
    said = Expectations.objects.select_for_update().get(project_id=principal.project_id)
    said.weights, said.targets = _merged(said.weights, weights), _merged(said.targets, targets)
    changed = Standards.over_defaults(said.weights, said.targets)
    if not any(changed.weights.values()):
        raise ApiError("One of the parts has to weigh something.", param="weights", code="invalid_value")
    said.save()
    audit.record(principal, "expectations.updated", said, weights=said.weights, targets=said.targets)
    return changed


def _merged(said: dict[str, float], given: Mapping[str, float | None] | None) -> dict[str, float]:
    return {name: value for name, value in {**said, **(given or {})}.items() if value is not None}
