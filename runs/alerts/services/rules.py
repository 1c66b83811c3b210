"""Making, changing and deleting rules."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from assistants.kinds import Environment
from assistants.services import get_assistant
from inference.secrets import seal
from runs.alerts.models import AlertRule
from runs.alerts.rendering import without_path
from runs.alerts.sending import new_secret
from runs.alerts.services import alerts
from runs.alerts.targets import checked_emails, checked_webhook
from runs.alerts.watched import WATCHED
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALERTS_WRITE, ANALYTICS_READ
from sovereign.core import errors
from sovereign.core.database import now, only_row, service
from sovereign.core.errors import ApiError

MOST_RULES = 200  # of a project
STEP, SHORTEST, LONGEST = 5, 5, 43_200  # minutes of a window
#: what makes another rule of it
WATCHING = (
    "assistant_id", "environment", "metric", "direction", "threshold", "clear_threshold", "window_minutes",
    "minimum_runs",
)  # fmt: skip
FIELDS = ("name", "severity", "is_enabled", *WATCHING)
TELLING = ("emails", "webhook_url", "webhook_secret")
CHANGED = "The rule was changed."
SWITCHED_OFF = "The rule was switched off."
DELETED = "The rule was deleted."


@dataclass(frozen=True, slots=True)
class Written:
    """A rule, and the secret that its receiver needs where one was made just now: it is never told again."""

    rule: AlertRule
    secret: str | None


def get_rule(*, principal: Principal, rule_id: str) -> AlertRule:
    """:raises ApiError: 404."""
    principal.require(ANALYTICS_READ)
    return _found(principal, rule_id)


def locked_rule(*, principal: Principal, rule_id: str) -> AlertRule:
    """The same for who may change it, its row locked until the transaction's end.

    :raises ApiError: 403, 404.
    """
    principal.require(ALERTS_WRITE)
    return _found(principal, rule_id, lock=True)


def _found(principal: Principal, rule_id: str, *, lock: bool = False) -> AlertRule:
    rows = AlertRule.objects.visible_to(principal).filter(pk=rule_id).select_related("project")
    found: AlertRule | None = only_row(rows.select_for_update(no_key=True, of=("self",)) if lock else rows)
    if found is None:
        raise errors.not_found("alert rule", rule_id)
    return found


@service
def create_rule(*, principal: Principal, **fields: Any) -> Written:
    """Make a rule.

    :param fields: ``name``, ``metric``, ``direction`` and ``threshold``, and what else is not the default; ``emails``
        and ``webhook_url`` for whom to tell.
    :raises ApiError: 404 for the assistant; 400 for what makes no rule, and where there are too many.
    """
    principal.require(ALERTS_WRITE)
    if AlertRule.objects.kept().filter(project_id=principal.project_id).count() >= MOST_RULES:
        raise ApiError(f"A project has at most {MOST_RULES} rules of alerts.", code="too_many_rules")
    rule = AlertRule(
        project_id=principal.project_id, created_by_user=principal.user_id, created_by_key=principal.key_id
    )
    if fields.get("minimum_runs") is None:
        fields["minimum_runs"] = 0 if WATCHED[fields["metric"]].known_without_runs else 1
    secret = _write(principal, rule, fields)
    rule.save(force_insert=True)
    audit.record(principal, "alert_rule.created", rule, **_told_to(rule))
    return Written(rule, secret)


@service
def update_rule(*, principal: Principal, rule_id: str, new_webhook_secret: bool = False, **fields: Any) -> Written:
    """Change the fields that are given. An alert of what is not watched any more is over.

    Those whom the rule named are told so, of the rule as it was when they heard of it.

    :param new_webhook_secret: in place of the one that the receiver has.
    :raises ApiError: as :func:`create_rule`.
    """
    rule = locked_rule(principal=principal, rule_id=rule_id)
    before = copy(rule)
    secret = _write(principal, rule, fields, new_secret=new_webhook_secret)
    if why := _why_over(rule, before):
        rule.last_value = None
        _end_alert(before, why)
    rule.save()
    told = {} if _told_to(rule) == _told_to(before) else _told_to(rule)
    changed = sorted(_differing(rule, before, (*FIELDS, *TELLING)))
    audit.record(principal, "alert_rule.updated", rule, fields=changed, **told)
    return Written(rule, secret)


def _why_over(rule: AlertRule, before: AlertRule) -> str:
    if not rule.is_enabled:
        return SWITCHED_OFF
    return CHANGED if _differing(rule, before, WATCHING) else ""


def _differing(rule: AlertRule, before: AlertRule, names: Sequence[str]) -> list[str]:
    return [name for name in names if getattr(rule, name) != getattr(before, name)]


@service
def delete_rule(*, principal: Principal, rule_id: str) -> None:
    """Delete a rule; those who were told that its alert began are told that it is over.

    :raises ApiError: 404.
    """
    rule = locked_rule(principal=principal, rule_id=rule_id)
    _end_alert(rule, DELETED)
    rule.deleted_at = now()
    rule.save()
    audit.record(principal, "alert_rule.deleted", rule)


def _end_alert(rule: AlertRule, why: str) -> None:
    if (alert := alerts.open_alert(rule)) is not None:
        alerts.end(rule, alert, why)


# ------------------------------------------------------------------------------------- what a rule may be


def _write(principal: Principal, rule: AlertRule, fields: dict[str, Any], *, new_secret: bool = False) -> str | None:
    """Set the fields, and give the secret back where one was made: for a new address, or because it is wanted.

    :raises ApiError: what is given makes no rule.
    """
    for name in FIELDS:
        if name in fields:
            setattr(rule, name, fields[name])
    _check(rule)
    if rule.assistant_id is not None and "assistant_id" in fields:
        get_assistant(principal=principal, assistant_id=rule.assistant_id)
    if "emails" in fields:
        rule.emails = checked_emails(fields["emails"] or [])
    url = checked_webhook(fields["webhook_url"] or "") if "webhook_url" in fields else rule.webhook_url
    is_new = url != rule.webhook_url
    rule.webhook_url = url
    return _renew_secret(rule) if is_new or new_secret else None


def _renew_secret(rule: AlertRule) -> str | None:
    """For a receiver that is another one, or should be tried again though it wanted nothing more."""
    secret = new_secret() if rule.webhook_url else None
    rule.webhook_secret, rule.webhook_gone_at = "" if secret is None else seal(secret), None
    return secret


def _check(rule: AlertRule) -> None:
    """:raises ApiError: 400 for a rule that would never say anything, or something else than is meant."""
    rule.name = rule.name.strip()
    if not rule.name:
        raise _invalid("name", "A rule needs a name.")
    if rule.metric not in WATCHED:
        raise _invalid("metric", f"'{rule.metric}' is no metric.")
    if rule.environment is not None and rule.environment not in Environment.values:
        raise _invalid("environment", f"'{rule.environment}' is no environment.")
    if not SHORTEST <= rule.window_minutes <= LONGEST or rule.window_minutes % STEP:
        raise _invalid("window_minutes", f"A window has {SHORTEST} to {LONGEST:,} minutes, a multiple of {STEP}.")
    _check_thresholds(rule)


def _check_thresholds(rule: AlertRule) -> None:
    watched = WATCHED[rule.metric]
    for name in ("threshold", "clear_threshold"):
        value = getattr(rule, name)
        if value is not None and not 0 <= value <= watched.highest:
            raise _invalid(name, f"The metric '{rule.metric}' lies between 0 and {watched.highest:g}.")
    clear = rule.clear_threshold
    if clear is None:
        return
    is_above = rule.direction == AlertRule.Direction.ABOVE
    if clear > rule.threshold if is_above else clear < rule.threshold:
        side = "above" if is_above else "below"
        raise _invalid(
            "clear_threshold", f"An alert {side} {rule.threshold:g} cannot end while it is still {side} that."
        )


def _invalid(param: str, sentence: str) -> ApiError:
    return ApiError(f"Invalid '{param}': {sentence}", param=param, code="invalid_value")


def _told_to(rule: AlertRule) -> dict[str, Any]:
    """Where it sends to, for the audit log: an address may hold a secret in its path."""
    return {"emails": rule.emails, "webhook": without_path(rule.webhook_url)}
