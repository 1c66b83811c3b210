"""What the admin's pages do to deployments: each thing with its form, its words, and who may do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assistants import deployments
from assistants.admin.deployment_forms import (
    OFFERED,
    ActForm,
    DeployForm,
    PolicyForm,
    ReasonForm,
    RollBackForm,
    ScaleForm,
    ShareForm,
    WishForm,
)
from assistants.deployments import activation, policies
from assistants.deployments.rights import SCOPE_OF, require_second_person, require_second_person_again
from assistants.kinds import Environment
from assistants.models import Assistant, AssistantVersion, Deployment, LifeStatus, Scale
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE
from sovereign.core import times
from sovereign.core.errors import ApiError

Status = Deployment.Status
NOTHING = "There is nothing yet to promote or to roll back."
ARCHIVED = "The assistant is archived: bring it back first."
INACTIVE = "The assistant is inactive and answers nobody: make it active first."
WHO = {
    True: "Admins and owners of the project decide about {place}.",
    False: "Analysts, admins and owners of the project decide about {place}.",
}
#: what is said of a deployment once it was asked for
TOLD = {
    Status.ACTIVE: "{version} is in service in {place}.",
    Status.CANARY: "{version} is in service for {percent} % of the threads in {place}.",
    Status.VALIDATING: "{version} is being tried. It comes into service in {place} when all checks have passed.",
    Status.AWAITING_APPROVAL: "{version} waits for somebody else's approval before it comes to {place}.",
    Status.SCHEDULED: "{version} comes to {place} on {time}.",
    Status.CANCELLED: "{version} does not come to {place}.",
    Status.RETIRED: "{version} is not in service in {place} any more.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who does something to what.

    :ivar deployment: what is decided about; of the other acts none.
    """

    principal: Principal
    assistant: Assistant
    environment: Environment
    deployment: Deployment | None = None

    @property
    def known(self) -> dict[str, Any]:
        """What every service about an environment of an assistant wants."""
        return {
            "principal": self.principal,
            "assistant_id": self.assistant.pk,
            "environment": self.environment.value,
        }

    def active(self) -> Deployment | None:
        return activation.active_in(self.assistant.pk, self.environment.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """
    :ivar button: what stands on the buttons.
    :ivar confirm: what stands on the button that does it, where that is something else.
    :ivar title: of the page on which it is confirmed; ``{version}``, ``{place}`` and ``{next}`` are filled in.
    :ivar note: what it does, below that.
    :ivar wish: what is asked for, as the audit log calls it.
    :ivar form: made for who asks, with what was sent, if anything was.
    :ivar carry_out: returns what is told of it.
    :ivar obstacle: why it makes no sense now; empty where it does.
    :ivar scope: what it takes.
    """

    button: str
    title: str
    note: str
    wish: str
    form: Callable[[Asked, Any], ActForm]
    carry_out: Callable[[Asked, Any], str]
    obstacle: Callable[[Asked], str] = lambda asked: ""
    scope: Callable[[Asked], str] = lambda asked: SCOPE_OF[asked.environment.value]
    confirm: str = ""


def why_not(act: Act, asked: Asked) -> str:
    """Why the person cannot do it, in a sentence; empty where they can."""
    scope = act.scope(asked)
    if not asked.principal.allows(scope):
        following = asked.environment.following if act is PLACE_ACTS["promote"] else None
        return WHO[scope == ASSISTANTS_PROMOTE].format(place=(following or asked.environment).label)
    return act.obstacle(asked)


def told(deployment: Deployment) -> str:
    return TOLD.get(Status(deployment.status), "{version} does not come to {place}: {reason}").format(
        version=str(deployment.version).capitalize(),
        place=Environment(deployment.environment).label,
        percent=share_of(deployment),
        reason=deployment.reason,
        time=times.told(deployment.scheduled_at) if deployment.scheduled_at else "",
    )


def share_of(deployment: Deployment) -> str:
    """Per cent of the threads, as people write it; empty for all of them."""
    return f"{deployment.percent.normalize():f}" if deployment.percent is not None else ""


# ------------------------------------------------------------------------------------------- of an environment


def _deploy_form(asked: Asked, sent: Any) -> ActForm:
    published = AssistantVersion.objects.of(asked.assistant.pk).defer("content").order_by("-number")[:OFFERED]
    choices = [(str(one.number), f"Version {one.number}{_noted(one)}") for one in published]
    draft = ("", "The draft, as it is now")
    return DeployForm(sent, versions=[draft, *choices], initial=_expected(asked))


def _noted(version: AssistantVersion) -> str:
    words = " ".join(version.notes.split())
    return f": {words[:60]}{'…' if len(words) > 60 else ''}" if words else ""


def _wish_form(asked: Asked, sent: Any) -> ActForm:
    """What is promoted is compared with what is in service where it comes to."""
    following = asked.environment.following or asked.environment
    active = activation.active_in(asked.assistant.pk, following.value)
    return WishForm(sent, initial={"expected": active.pk if active else ""})


def _expected(asked: Asked) -> dict[str, str]:
    active = asked.active()
    return {"expected": active.pk if active else ""}


def _deploy(asked: Asked, form: Any) -> str:
    version = form.cleaned_data["version"] or None
    return told(deployments.deploy(**asked.known, version=version, **form.wish()))


def _promote(asked: Asked, form: Any) -> str:
    return told(deployments.promote(**asked.known, **form.wish()))


def _roll_back(asked: Asked, form: Any) -> str:
    reason = form.cleaned_data["reason"]
    return told(deployments.roll_back(**asked.known, reason=reason, **form.expectation()))


def _scale_form(asked: Asked, sent: Any) -> ActForm:
    row = Scale.objects.filter(assistant=asked.assistant, environment=asked.environment.value).first()
    names = ("worker_slots", "priority", "tokens_per_day")
    return ScaleForm(sent, initial={name: getattr(row, name) for name in names} if row else {"priority": 0})


def _scale(asked: Asked, form: Any) -> str:
    deployments.scale(**asked.known, **form.cleaned_data)
    return f"What it may have in {asked.environment.label} is set."


def _policy_form(asked: Asked, sent: Any) -> ActForm:
    return PolicyForm(sent, initial={"four_eyes": policies.policies_of(asked.principal)[asked.environment.value]})


def _set_policy(asked: Asked, form: Any) -> str:
    wanted = form.cleaned_data["four_eyes"]
    deployments.set_policy(principal=asked.principal, environment=asked.environment.value, four_eyes=wanted)
    asks = "have to" if wanted else "need not"
    return f"Deployments to {asked.environment.label} {asks} be approved by a second person."


def _archived(asked: Asked) -> str:
    return ARCHIVED if asked.assistant.status == LifeStatus.ARCHIVED else ""


def _resting(asked: Asked) -> str:
    return INACTIVE if asked.assistant.status == LifeStatus.INACTIVE else _archived(asked)


def _not_to_promote(asked: Asked) -> str:
    return _resting(asked) or ("" if asked.active() else NOTHING)


def _not_to_roll_back(asked: Asked) -> str:
    active = asked.active()
    if active is None:
        return NOTHING
    if active.replaces is None and activation.canary_in(asked.assistant.pk, asked.environment.value) is None:
        return "There is nothing to roll back to: nothing was in service before."
    return ""


def _promotes(asked: Asked) -> str:
    return SCOPE_OF[(asked.environment.following or asked.environment).value]


PLACE_ACTS: dict[str, Act] = {
    "deploy": Act(
        button="Deploy …",
        title="Deploy to {place}",
        note="The draft becomes a version first, where it is none yet. What is not ready is refused with its reasons.",
        wish="assistant.deploy",
        form=_deploy_form,
        carry_out=_deploy,
        obstacle=_resting,
    ),
    "promote": Act(
        button="Promote to {next} …",
        title="Promote {version} from {place} to {next}",
        note="The version that is in service in {place} comes to {next}, too.",
        wish="assistant.promote",
        form=_wish_form,
        carry_out=_promote,
        obstacle=_not_to_promote,
        scope=_promotes,
    ),
    "rollback": Act(
        button="Roll back …",
        title="Roll back in {place}",
        note="The canary is taken back, where there is one; else what was in service before is so again, at once.",
        wish="assistant.roll_back",
        form=lambda asked, sent: RollBackForm(sent, initial=_expected(asked)),
        carry_out=_roll_back,
        obstacle=_not_to_roll_back,
    ),
    "scale": Act(
        button="Scale …",
        confirm="Save",
        title="What it may have in {place}",
        note="Of the house, for its runs in {place}.",
        wish="assistant.scale",
        form=_scale_form,
        carry_out=_scale,
        obstacle=_archived,
        scope=lambda asked: ASSISTANTS_PROMOTE,
    ),
    "policy": Act(
        button="Approval …",
        confirm="Save",
        title="Approval of deployments to {place}",
        note="Whether a second person has to agree before anything is deployed to {place}.",
        wish="environment.set_policy",
        form=_policy_form,
        carry_out=_set_policy,
        scope=lambda asked: ASSISTANTS_PROMOTE,
    ),
}


# ------------------------------------------------------------------------------------------- of one deployment


def _decide(asked: Asked, **decision: Any) -> str:
    assert asked.deployment is not None
    decided = deployments.set_status(principal=asked.principal, deployment_id=asked.deployment.pk, **decision)
    return told(decided)


def _decision(button: str, title: str, note: str, status: str, form: type[ActForm] = ReasonForm, **options: Any) -> Act:
    return Act(
        button=button,
        title=title,
        note=note,
        wish="deployment.set_status",
        form=lambda asked, sent: form(sent),
        carry_out=lambda asked, form: _decide(asked, status=status, **form.cleaned_data),
        **options,
    )


def _not_to_approve(asked: Asked) -> str:
    return _refused_by(require_second_person, asked) or _resting(asked)


def _not_to_complete(asked: Asked) -> str:
    return _refused_by(require_second_person_again, asked)


def _refused_by(rule: Callable[[Principal, Deployment], None], asked: Asked) -> str:
    assert asked.deployment is not None
    try:
        rule(asked.principal, asked.deployment)
    except ApiError as error:
        return error.message
    return ""


DECISION_ACTS: dict[str, Act] = {
    "approved": _decision(
        "Approve …", "Approve {version} for {place}", "It comes into service when all checks have passed.", "approved",
        obstacle=_not_to_approve, scope=lambda asked: ASSISTANTS_PROMOTE,
    ),
    "rejected": _decision(
        "Reject …", "Reject {version} for {place}", "It does not come into service.", "rejected",
        scope=lambda asked: ASSISTANTS_PROMOTE,
    ),
    "cancelled": _decision(
        "Call it off …", "Call off {version} for {place}", "It does not come into service.", "cancelled"
    ),
    "active": _decision(
        "To all threads …", "{version} for all threads in {place}",
        "It takes the place of what is in service beside it.", "active", form=ActForm,
        obstacle=_not_to_complete,
    ),
    "share": Act(
        button="Its share …",
        confirm="Save",
        title="The share of {version} in {place}",
        note="How many of the threads the canary answers.",
        wish="deployment.set_status",
        form=lambda asked, sent: ShareForm(sent, initial={"percent": asked.deployment and share_of(asked.deployment)}),
        carry_out=lambda asked, form: _decide(asked, percent=form.cleaned_data["percent"]),
    ),
    "retired": _decision(
        "Retire …", "Take {version} out of service in {place}",
        "Applications with a key of this environment get no answer then; the chat has the draft.", "retired",
    ),
}  # fmt: skip

#: What may be decided about a deployment, by how it stands.
DECISIONS_OF: dict[str, tuple[str, ...]] = {
    Status.AWAITING_APPROVAL: ("approved", "rejected", "cancelled"),
    Status.SCHEDULED: ("cancelled",),
    Status.VALIDATING: ("cancelled",),
    Status.CANARY: ("share", "active"),
    Status.ACTIVE: ("retired",),
}
