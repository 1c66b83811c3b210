"""The routes of assistants' life, of prompts and of evaluations, for the walks through every route."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from assistants import services as assistants
from assistants.models import (
    Assistant,
    AssistantVersion,
    Deployment,
    EnvironmentPolicy,
    ExternalUse,
    PromptLink,
    Scale,
)
from assistants.prompts import services as prompts
from assistants.prompts.models import Prompt, PromptLabel, PromptVersion
from assistants.services import links, versions
from runs.alerts import services as alerts
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.services.alerts import begin
from runs.conversations import services as conversations
from runs.conversations.models import Conversation
from runs.evaluations import services as evaluations
from runs.evaluations.models import EvaluationCase, EvaluationResult, EvaluationRun, EvaluationSet
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.ids import new_id
from threads.models import Thread

ASSISTANTS = "api/v1/assistants"
ASSISTANT = f"{ASSISTANTS}/<str:assistant_id>"
VERSIONS = f"{ASSISTANT}/versions"
VERSION = f"{VERSIONS}/<str:version>"
LINK = f"{ASSISTANT}/prompts/<str:prompt_id>"
DEPLOYMENT = f"{ASSISTANTS}/deployments/<str:deployment_id>"
ENVIRONMENTS = f"{ASSISTANTS}/environments"
PROMPT = "api/v1/prompts/<str:prompt_id>"
LABEL = f"{PROMPT}/labels/<str:name>"
EVALUATIONS = "api/v1/evaluations"
EVALUATION = f"{EVALUATIONS}/<str:evaluation_id>"
CASE = f"{EVALUATION}/cases/<str:case_id>"
EVALUATION_RUN = f"{EVALUATIONS}/runs/<str:evaluation_run_id>"
CONVERSATIONS = "api/v1/conversations"
CONVERSATION = f"{CONVERSATIONS}/<str:conversation_id>"
ALERTS = "api/v1/alerts"
ALERT = f"{ALERTS}/<str:alert_id>"
ALERT_RULES = f"{ALERTS}/rules"
ALERT_RULE = f"{ALERT_RULES}/<str:alert_rule_id>"

QUESTION = {"input": "Who are you?", "checks": [{"type": "contains", "values": ["x"]}]}
DEVELOPMENT = {"environment": "development"}
FAILING = {"name": "It fails", "metric": "error_rate", "direction": "above", "threshold": 0.1}

#: As ``BY_ID`` of ``test_tenancy``.
LIFE_BY_ID: dict[tuple[str, str], dict[str, Any] | None] = {
    ("POST", ASSISTANTS): {"model": "tiny", "parent_id": "<parent_id>"},
    ("GET", ASSISTANT): None,
    ("PUT", ASSISTANT): {"name": "Mine now", "parent_id": "<parent_id>"},
    ("DELETE", ASSISTANT): None,
    ("POST", f"{ASSISTANT}/clone"): {"version": "<version>"},
    ("GET", f"{ASSISTANT}/lineage"): None,
    ("POST", f"{ASSISTANT}/usage"): {"count": 3},
    ("GET", f"{ASSISTANT}/health"): None,
    ("GET", f"{ASSISTANT}/metrics"): None,
    ("GET", f"{ASSISTANT}/usage"): None,
    ("POST", f"{ASSISTANTS}/compare"): {
        "items": [{"assistant_id": "<assistant_id>"}, {"assistant_id": "<assistant_id>", "version": "<version>"}]
    },
    ("GET", VERSIONS): None,
    ("POST", VERSIONS): {"notes": "Mine now"},
    ("GET", VERSION): None,
    ("GET", f"{VERSION}/diff"): None,
    ("GET", f"{VERSION}/lineage"): None,
    ("POST", f"{VERSION}/restore"): None,
    ("GET", f"{ASSISTANT}/prompts"): None,
    ("POST", f"{ASSISTANT}/prompts"): {"prompt_id": "<prompt_id>"},
    ("GET", f"{ASSISTANT}/prompts/suggestions"): None,
    ("GET", LINK): None,
    ("PUT", LINK): {"priority": 3},
    ("DELETE", LINK): None,
    ("GET", f"{ASSISTANTS}/prompts/<str:prompt_id>/assistants"): None,
    ("POST", f"{ASSISTANT}/deploy"): {**DEVELOPMENT, "version": "<version>"},
    ("POST", f"{ASSISTANT}/promote"): DEVELOPMENT,
    ("POST", f"{ASSISTANT}/rollback"): DEVELOPMENT,
    ("POST", f"{ASSISTANT}/validate"): {"environment": "production", "version": "<version>"},
    ("POST", f"{ASSISTANT}/scale"): {"environment": "production", "priority": 1},
    ("GET", f"{ASSISTANT}/deployments"): None,
    ("GET", f"{ASSISTANT}/deployment-status"): None,
    ("GET", DEPLOYMENT): None,
    ("PUT", f"{DEPLOYMENT}/status"): {"status": "retired"},
    ("GET", PROMPT): None,
    ("PUT", PROMPT): {"name": "Mine now"},
    ("DELETE", PROMPT): None,
    ("GET", f"{PROMPT}/usage"): None,
    ("GET", f"{PROMPT}/versions"): None,
    ("POST", f"{PROMPT}/versions"): {"template": "Mine now", "based_on": "<prompt_version>"},
    ("GET", f"{PROMPT}/versions/<str:version>"): None,
    ("GET", f"{PROMPT}/diff"): None,
    ("GET", f"{PROMPT}/labels"): None,
    ("PUT", LABEL): {"version": "<prompt_version>"},
    ("DELETE", LABEL): None,
    ("POST", f"{PROMPT}/preview"): {"version": "<prompt_version>"},
    ("POST", EVALUATIONS): {"name": "Mine now", "assistant_id": "<assistant_id>"},
    ("GET", EVALUATION): None,
    ("PUT", EVALUATION): {"name": "Mine now", "assistant_id": "<assistant_id>"},
    ("DELETE", EVALUATION): None,
    ("GET", f"{EVALUATION}/cases"): None,
    ("POST", f"{EVALUATION}/cases"): QUESTION,
    ("GET", CASE): None,
    ("PUT", CASE): {"name": "Mine now"},
    ("DELETE", CASE): None,
    ("POST", f"{EVALUATION}/cases/import"): {"format": "csv", "content": "input,exact\nWho?,I\n", "replace": True},
    ("POST", f"{EVALUATION}/cases/from_run"): {"run_id": "<run_id>"},
    ("GET", f"{EVALUATION}/runs"): None,
    ("POST", f"{EVALUATION}/runs"): {"assistant_id": "<assistant_id>", "version": "<version>"},
    ("GET", EVALUATION_RUN): None,
    ("POST", f"{EVALUATION_RUN}/cancel"): None,
    ("GET", f"{EVALUATION_RUN}/results"): None,
    ("GET", f"{EVALUATION_RUN}/comparison"): None,
    ("POST", CONVERSATIONS): {"assistant_id": "<assistant_id>"},
    ("GET", CONVERSATION): None,
    ("GET", f"{CONVERSATION}/messages"): None,
    ("POST", f"{CONVERSATION}/messages"): {"content": "Mine now"},
    ("PUT", f"{CONVERSATION}/context"): {"variables": {"mine": "now"}},
    ("POST", f"{CONVERSATION}/end"): {"reason": "Mine now"},
    ("POST", f"{CONVERSATION}/satisfaction"): {"score": 1},
    ("GET", f"{CONVERSATION}/summary"): None,
    ("POST", ALERT_RULES): {**FAILING, "assistant_id": "<assistant_id>"},
    ("GET", ALERT_RULE): None,
    ("PUT", ALERT_RULE): {"name": "Mine now", "assistant_id": "<assistant_id>"},
    ("DELETE", ALERT_RULE): None,
    ("POST", f"{ALERT_RULE}/test"): None,
    ("GET", f"{ALERT_RULE}/notifications"): None,
    ("GET", ALERT): None,
    ("POST", f"{ALERT}/acknowledge"): {"note": "Mine now"},
    ("GET", f"{ALERT}/notifications"): None,
}
#: As ``WITHOUT_ID`` there.
LIFE_WITHOUT_ID = {
    ("GET", ASSISTANTS),
    *(("GET", f"{ASSISTANTS}/{word}") for word in ("search", "popular", "types", "statuses", "templates")),
    ("GET", ENVIRONMENTS),
    ("GET", f"{ENVIRONMENTS}/<str:environment>"),
    ("PUT", f"{ENVIRONMENTS}/<str:environment>"),
    ("GET", "api/v1/prompts"),
    ("POST", "api/v1/prompts"),
    ("GET", EVALUATIONS),
    ("GET", f"{EVALUATIONS}/runs"),
    ("GET", f"{ASSISTANTS}/summary"),
    ("GET", "api/v1/analytics/expectations"),
    ("PUT", "api/v1/analytics/expectations"),
    ("GET", f"{CONVERSATIONS}/active"),
    ("GET", ALERTS),
    ("GET", ALERT_RULES),
}
LIFE_PREFIXES = {
    "parent_id": "asst_",
    "version": "asstv_",
    "deployment_id": "dep_",
    "prompt_id": "prompt_",
    "prompt_version": "promptv_",
    "evaluation_id": "eval_",
    "case_id": "evcase_",
    "evaluation_run_id": "evrun_",
    "conversation_id": "conv_",
    "alert_rule_id": "rule_",
    "alert_id": "alert_",
}
#: a word of an address that means another kind of object there
MEANINGS = {f"{PROMPT}/versions/<str:version>": f"{PROMPT}/versions/<str:prompt_version>"}
#: Lists, with what may be asked of them in an address beside ``after``, which names an object.
LIFE_LISTS = {
    ASSISTANTS: ("before", "parent_id"),
    f"{ASSISTANTS}/search": ("q",),
    f"{ASSISTANTS}/popular": (),
    f"{ASSISTANTS}/prompts/<str:prompt_id>/assistants": ("before",),
    f"{ASSISTANT}/lineage": (),
    f"{ASSISTANT}/prompts": ("before",),
    f"{ASSISTANT}/prompts/suggestions": (),
    f"{ASSISTANT}/deployments": ("before",),
    VERSIONS: ("before",),
    f"{VERSION}/diff": ("against",),
    "api/v1/prompts": ("before", "q"),
    f"{PROMPT}/versions": ("before",),
    f"{PROMPT}/labels": ("before",),
    f"{PROMPT}/diff": ("from", "to"),
    f"{PROMPT}/usage": (),
    EVALUATIONS: ("before", "assistant_id"),
    f"{EVALUATIONS}/runs": ("before", "assistant_id"),
    f"{EVALUATION}/cases": ("before",),
    f"{EVALUATION}/runs": ("before", "assistant_id"),
    f"{EVALUATION_RUN}/results": ("before",),
    f"{EVALUATION_RUN}/comparison": ("before", "against"),
    f"{CONVERSATIONS}/active": ("before", "assistant_id"),
    f"{CONVERSATION}/messages": ("before",),
    ALERTS: ("before", "assistant_id"),
    ALERT_RULES: ("before", "assistant_id"),
    f"{ALERT_RULE}/notifications": ("before",),
    f"{ALERT}/notifications": ("before",),
}


def life_of(principal: Principal, assistant: Assistant) -> dict[str, str]:
    """One object of every kind of these routes: a draft that has changed since its second version, which took the
    place of the first one in development."""
    parent = assistants.create_assistant(principal=principal, model="tiny", name="Parent")
    prompt = prompts.create_prompt(principal=principal, name="Greeting", template="Be kind.")
    label = prompts.move_label(principal=principal, prompt_id=prompt.id, name="approved", version="1")
    links.link_prompt(principal=principal, assistant_id=assistant.id, prompt_id=prompt.id)
    first = versions.publish(principal=principal, assistant_id=assistant.id)
    second = _changed(principal, assistant, "y")
    former = _deployed(first, Deployment.Status.SUPERSEDED)
    current = _deployed(second, Deployment.Status.ACTIVE, replaces=former.id)
    evaluation = evaluations.create_set(principal=principal, name="Manners", assistant_id=assistant.id)
    evaluations.create_case(principal=principal, set_id=evaluation.id, **QUESTION)
    run = evaluations.start_run(principal=principal, set_id=evaluation.id, version=first.id)
    case = evaluations.create_case(principal=principal, set_id=evaluation.id, **QUESTION)
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, instructions="z")
    conversation = conversations.start(principal=principal, assistant_id=assistant.id)
    # it is busy: nobody is there who would answer
    Thread.objects.filter(pk=conversation.thread_id).update(active_run_id=new_id("run_"))
    rule = alerts.create_rule(
        principal=principal, assistant_id=assistant.id, emails=["on-call@example.org"], **FAILING
    ).rule
    return {
        "parent_id": parent.id,
        "version": first.id,
        "deployment_id": current.id,
        "prompt_id": prompt.id,
        "prompt_version": label.version_id,
        "name": label.name,
        "evaluation_id": evaluation.id,
        "case_id": case.id,
        "evaluation_run_id": run.id,
        "conversation_id": conversation.id,
        "alert_rule_id": rule.id,
        "alert_id": begin(rule, 0.5, 10).id,
    }


def _changed(principal: Principal, assistant: Assistant, instructions: str) -> AssistantVersion:
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, instructions=instructions)
    return versions.publish(principal=principal, assistant_id=assistant.id)


def _deployed(version: AssistantVersion, status: str, replaces: str | None = None) -> Deployment:
    return Deployment.objects.create(
        project_id=version.project_id, assistant_id=version.assistant_id, version=version,
        environment="development", status=status, replaces=replaces,
    )  # fmt: skip


def life_in(project: Project) -> list[QuerySet[Any]]:
    """Every row of these routes' models in a project."""
    owned = (AssistantVersion, Deployment, Scale, EnvironmentPolicy, ExternalUse, Prompt, EvaluationSet, EvaluationRun)
    return [
        *(model.objects.filter(project=project) for model in (*owned, Conversation, AlertRule, Alert)),
        Notification.objects.filter(rule__project=project),
        PromptLink.objects.filter(assistant__project=project),
        PromptVersion.objects.filter(prompt__project=project),
        PromptLabel.objects.filter(prompt__project=project),
        EvaluationCase.objects.filter(set__project=project),
        EvaluationResult.objects.filter(evaluation_run__project=project),
    ]
