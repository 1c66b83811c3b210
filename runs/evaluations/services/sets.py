"""Making, changing and deleting sets of cases."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from assistants.kinds import Environment
from assistants.services import get_assistant
from runs.evaluations.models import EvaluationRun, EvaluationSet
from runs.evaluations.services import running
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, EVALUATIONS_READ, EVALUATIONS_WRITE
from sovereign.core import errors
from sovereign.core.database import only_row, service


def get_set(*, principal: Principal, set_id: str) -> EvaluationSet:
    """:raises ApiError: 404."""
    principal.require(EVALUATIONS_READ)
    return _found(principal, set_id)


def locked_set(*, principal: Principal, set_id: str) -> EvaluationSet:
    """The same for who may change it, its row locked until the transaction's end.

    :raises ApiError: 403, 404.
    """
    principal.require(EVALUATIONS_WRITE)
    return _found(principal, set_id, lock=True)


def locked_set_of_cases(*, principal: Principal, set_id: str) -> EvaluationSet:
    """As :func:`locked_set`, for who may change its cases: those of a gate decide about deployments as the gate does.

    :raises ApiError: 403, 404.
    """
    found = locked_set(principal=principal, set_id=set_id)
    if found.gates and not principal.allows(ASSISTANTS_PROMOTE):
        places = ", ".join(name for name in Environment.values if name in found.gates)
        raise errors.ApiError(
            f"The evaluation '{found}' stands before deployments to {places}: only who may promote changes its cases. "
            "Put them into an evaluation of your own.",
            status=HTTPStatus.FORBIDDEN,
            code="insufficient_permissions",
        )
    return found


def _found(principal: Principal, set_id: str, *, lock: bool = False) -> EvaluationSet:
    rows = EvaluationSet.objects.visible_to(principal)
    rows = rows.select_for_update(no_key=True, of=("self",)) if lock else rows.select_related("assistant")
    found: EvaluationSet | None = only_row(rows.filter(pk=set_id))
    if found is None:
        raise errors.not_found("evaluation", set_id)
    return found


@service
def create_set(
    *,
    principal: Principal,
    name: str,
    description: str = "",
    assistant_id: str | None = None,
    gates: dict[str, float] | None = None,
) -> EvaluationSet:
    """Make an empty set.

    :param assistant_id: the assistant that it is for; ``None`` for all of the project.
    :param gates: by environments, the share of cases that has to pass before a deployment.
    :raises ApiError: 404 for the assistant; 403, a gate is set by those who promote.
    """
    principal.require(EVALUATIONS_WRITE)
    assistant = get_assistant(principal=principal, assistant_id=assistant_id) if assistant_id else None
    _refuse_gates(principal, {}, gates or {})
    made = EvaluationSet.objects.create(
        project_id=principal.project_id,
        assistant=assistant,
        name=_named(name),
        description=description,
        gates=gates or {},
        created_by_user=principal.user_id,
        created_by_key=principal.key_id,
    )
    audit.record(principal, "evaluation.created", made)
    return made


@service
def update_set(*, principal: Principal, set_id: str, **fields: Any) -> EvaluationSet:
    """Change ``name``, ``description``, ``gates`` or ``assistant_id``, those that are given. Raises like
    :func:`create_set`."""
    changed, given = locked_set(principal=principal, set_id=set_id), sorted(fields)
    if fields.get("assistant_id"):
        get_assistant(principal=principal, assistant_id=fields["assistant_id"])
    gates = fields["gates"] or {} if "gates" in fields else changed.gates
    if fields.get("assistant_id", changed.assistant_id) != changed.assistant_id:
        _refuse_gates(principal, changed.gates, {})  # it would stand before another assistant, or before this no more
    _refuse_gates(principal, changed.gates, gates)
    fields["gates"] = gates
    if "name" in fields:
        fields["name"] = _named(fields["name"])
    for name, value in fields.items():
        setattr(changed, name, value if value is not None or name == "assistant_id" else "")
    changed.save()
    audit.record(principal, "evaluation.updated", changed, fields=given)
    return changed


@service
def delete_set(*, principal: Principal, set_id: str) -> None:
    """Delete a set with its cases and runs; what of it still runs is cancelled.

    :raises ApiError: 404; 403 for one that is a gate, where the principal may not promote.
    """
    gone = locked_set(principal=principal, set_id=set_id)
    _refuse_gates(principal, gone.gates, {})
    for run in EvaluationRun.objects.active().filter(set=gone).order_by("id"):
        running.call_off(run)
    audit.record(principal, "evaluation.deleted", gone)
    gone.delete()


def _refuse_gates(principal: Principal, before: dict[str, float], after: dict[str, float]) -> None:
    """What decides about staging and production is decided by those who deploy there.

    :raises ApiError: 403.
    """
    if before != after:
        principal.require(ASSISTANTS_PROMOTE)


def _named(name: str) -> str:
    if not name.strip():
        raise errors.ApiError("An evaluation needs a name.", param="name", code="invalid_value")
    return name.strip()
