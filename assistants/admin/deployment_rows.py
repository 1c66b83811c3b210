"""What the admin's pages show of deployments: per environment, and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse

from assistants.admin.deployment_acts import DECISION_ACTS, DECISIONS_OF, PLACE_ACTS, Act, Asked, share_of, why_not
from assistants.admin.sites import on_places
from assistants.deployments import policies, scaling
from assistants.deployments.checks import Verdict
from assistants.deployments.measures import measures
from assistants.deployments.rendering import WAITING, Names
from assistants.kinds import Environment
from assistants.models import Assistant, Deployment, Scale
from sovereign.accounts.principals import Principal

Status = Deployment.Status
SERVING = (Status.ACTIVE, Status.CANARY)
ENDED_BADLY = (Status.FAILED, Status.ROLLED_BACK)
ACT_PAGE = "admin:assistants_assistant_deployment_act"
DECISION_PAGE = "admin:assistants_assistant_deployment_decision"
#: the colour of each status, as the theme names it
COLOURS: dict[str, str] = {
    Status.SCHEDULED: "info",
    Status.AWAITING_APPROVAL: "warning",
    Status.VALIDATING: "info",
    Status.ACTIVE: "success",
    Status.CANARY: "warning",
    Status.FAILED: "danger",
    Status.ROLLED_BACK: "danger",
}
WORDS: dict[str, str] = {
    Status.SCHEDULED: "scheduled",
    Status.AWAITING_APPROVAL: "waits for approval",
    Status.VALIDATING: "being tried",
    Status.ACTIVE: "in service",
    Status.CANARY: "canary",
    Status.SUPERSEDED: "replaced",
    Status.ROLLED_BACK: "taken back",
    Status.FAILED: "was not ready",
    Status.CANCELLED: "called off",
    Status.RETIRED: "retired",
}
OUTCOMES = {
    Verdict.PASSED: ("success", "passed"),
    Verdict.FAILED: ("danger", "failed"),
    Verdict.PENDING: ("warning", "being tried"),
}


def places(principal: Principal, assistant: Assistant) -> list[dict[str, Any]]:
    """Each environment: what is in service, beside it, on its way, and what can be done, from the first to the last."""
    used = Deployment.objects.of(assistant.pk).filter(status__in=[*SERVING, *WAITING]).select_related("version")
    newest = [newest_of(assistant, environment) for environment in Environment]
    ended = [row for row in newest if row is not None and row.status in ENDED_BADLY]
    found = [*used, *ended]
    rows = {row["deployment"].pk: row for row in rows_of(principal, assistant, found)}
    four_eyes = policies.policies_of(principal)
    scales = {one.environment: one for one in scaling.scales_of(assistant.pk)}
    shown_on = on_places(assistant)
    return [
        _place(
            Asked(principal=principal, assistant=assistant, environment=environment),
            [rows[one.pk] for one in found if one.environment == environment],
            four_eyes[environment.value],
            scales.get(environment.value),
        )
        | {"sites": shown_on[environment.value]}
        for environment in Environment
    ]


def newest_of(assistant: Assistant, environment: Environment) -> Deployment | None:
    rows = Deployment.objects.of(assistant.pk).filter(environment=environment.value)
    return rows.select_related("version").order_by("-created_at", "-id").first()


def _place(asked: Asked, rows: list[dict[str, Any]], four_eyes: bool, scale: Scale | None) -> dict[str, Any]:
    by_status = {row["deployment"].status: row for row in rows}
    active, canary = by_status.get(Status.ACTIVE), by_status.get(Status.CANARY)
    names = [name for name in PLACE_ACTS if name != "promote" or asked.environment.following]
    return {
        "environment": asked.environment,
        "active": active,
        "canary": canary,
        "measures": measures(canary["deployment"], active["deployment"]) if canary and active else [],
        "pending": [row for row in rows if row["deployment"].status in WAITING],
        "ended": next((row for row in rows if row["deployment"].status in ENDED_BADLY), None),
        "four_eyes": four_eyes,
        "scale": scale,
        **buttons([(name, PLACE_ACTS[name]) for name in names], asked, f"in-{asked.environment.value}"),
    }


def history(found: Sequence[Deployment]) -> list[dict[str, Any]]:
    """Deployments as they are only looked at."""
    names = Names(found)
    return [shown(deployment, names) for deployment in found]


def rows_of(principal: Principal, assistant: Assistant, found: Sequence[Deployment]) -> list[dict[str, Any]]:
    """Deployments of one assistant, with their versions; people and keys are asked for once."""
    names = Names(found)
    return [_row(principal, assistant, deployment, names) for deployment in found]


def _row(principal: Principal, assistant: Assistant, deployment: Deployment, names: Names) -> dict[str, Any]:
    asked = Asked(
        principal=principal,
        assistant=assistant,
        environment=Environment(deployment.environment),
        deployment=deployment,
    )
    decisions = [(name, DECISION_ACTS[name]) for name in DECISIONS_OF.get(deployment.status, ())]
    return {**shown(deployment, names), **buttons(decisions, asked, f"of-{deployment.pk}")}


def shown(deployment: Deployment, names: Names | None = None) -> dict[str, Any]:
    """All that is told of a deployment, without what can be done."""
    names = names or Names([deployment])
    number = deployment.version.number
    return {
        "deployment": deployment,
        "place": Environment(deployment.environment).label,
        "version": str(deployment.version),
        "address": reverse("admin:assistants_assistant_version", args=[quote(deployment.assistant_id), number]),
        "own_address": reverse("admin:assistants_deployment_change", args=[quote(deployment.pk)]),
        "runs": _runs_of(deployment),
        "status": WORDS[deployment.status],
        "colour": COLOURS.get(deployment.status, ""),
        "percent": share_of(deployment),
        "asked_by": _who(names, deployment.asked_by_user, deployment.asked_by_key),
        "approved_by": _who(names, deployment.approved_by_user),
        "ended_by": _who(names, deployment.ended_by_user, deployment.ended_by_key),
        "checks": findings(deployment.checks),
    }


def findings(checks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the checks found, those that failed first."""
    order = [Verdict.FAILED, Verdict.PENDING, Verdict.PASSED]
    known = sorted(checks, key=lambda finding: order.index(Verdict(finding["verdict"])))
    return [
        {**finding, "colour": colour, "outcome": words}
        for finding in known
        for colour, words in [OUTCOMES[Verdict(finding["verdict"])]]
    ]


def buttons(acts: Sequence[tuple[str, Act]], asked: Asked, prefix: str) -> dict[str, Any]:
    """``buttons``: where each leads, or which sentence says why it leads nowhere.

    ``whys``: those sentences, each with the words of the buttons that it is about.
    """
    whys: dict[str, tuple[str, list[str]]] = {}
    made = []
    for name, act in acts:
        why = why_not(act, asked)
        words = fill(act.button, asked)
        described, about = whys.setdefault(why, (f"why-{prefix}-{len(whys)}", [])) if why else ("", [])
        about.append(words.removesuffix(" …"))
        made.append({
            "words": words,
            "about": "" if asked.deployment is None else str(asked.deployment),
            "address": act_address(name, asked),
            "why": described,
        })  # fmt: skip
    return {"buttons": made, "whys": [(described, ", ".join(about), why) for why, (described, about) in whys.items()]}


def act_address(name: str, asked: Asked) -> str:
    if asked.deployment is not None:
        return reverse(DECISION_PAGE, args=[quote(asked.assistant.pk), asked.deployment.pk, name])
    return reverse(ACT_PAGE, args=[quote(asked.assistant.pk), asked.environment.value, name])


def fill(words: str, asked: Asked) -> str:
    """An act's words, about what it is done to."""
    following = asked.environment.following
    about = asked.deployment
    if about is None and "{version}" in words:
        about = asked.active()
    return words.format(
        version=about.version if about is not None else "what is in service",
        place=asked.environment.label,
        next=following.label if following else "",
    )


def _who(names: Names, user_id: int | None, key_id: str | None = None) -> str:
    known = names.of(user_id, key_id)
    if known is None:
        return ""
    return f"{'the key ' if known['type'] == 'api_key' else ''}{known['name'] or known['id']}"


def _runs_of(deployment: Deployment) -> str:
    """The page of its runs; empty where the admin has none."""
    try:
        return f"{reverse('admin:runs_run_changelist')}?deployment_id={quote(deployment.pk)}"
    except NoReverseMatch:
        return ""
