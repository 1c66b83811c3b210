"""Which version, deployment and prompts made an answer: ``/api/v1/runs/{run_id}``."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.kinds import Environment
from assistants.models import Deployment, PromptLink
from runs.api.feedback import TAGS, FeedbackObject, render_feedback
from runs.services import origins
from runs.services.origins import Origin
from runs.states import Status
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import CONVERSATIONS_READ, RUNS_READ
from sovereign.core.api.schema import UnixTime
from threads.rendering import unix
from threads.services import note_reading

OBJECT = "run.origin"
EXAMPLE = {
    "id": "run_01m80dgzv746093mnwxm38yh4e",
    "object": OBJECT,
    "created_at": 1_795_305_600,
    "thread_id": "thread_01m80dh0rnavd5m0gfjxfrmh1q",
    "assistant_id": "asst_01m80dh0rkfx9e2tq6v8b3c7wd",
    "status": "completed",
    "environment": "production",
    "version": {"id": "asstv_01m80dh0rp4s7k1z5y9c2d6fga", "number": 3},
    "deployment": {"id": "dep_01m80dh0rq8t2m6w0a4e7h9jkb", "status": "active"},
    "prompts": [
        {
            "prompt_id": "prompt_01m80dh0rr1v5n9x3b6f8k0mpc",
            "name": "Shopkeeper",
            "version_id": "promptv_01m80dh0rs6w0p4y8c1g5m7nqd",
            "number": 2,
            "kind": "primary",
            "reason": "it has no conditions",
        }
    ],
    "feedback": [],
    "replay_of": None,
    "replays": ["run_01m80dh0rt3s8v2y6b0d4h9kre"],
}


class RunVersionObject(serializers.Serializer):
    id = serializers.CharField()
    number = serializers.IntegerField(allow_null=True, help_text="`null` where the version was deleted since.")


class RunDeploymentObject(serializers.Serializer):
    id = serializers.CharField()
    status = serializers.ChoiceField(
        choices=Deployment.Status.choices, allow_null=True, help_text="Now; `null` where it was deleted since."
    )


class UsedPromptObject(serializers.Serializer):
    """A prompt of the library that the instructions were made of."""

    prompt_id = serializers.CharField()
    name = serializers.CharField(help_text="What it was called then.")
    version_id = serializers.CharField()
    number = serializers.IntegerField(help_text="Of the version.")
    kind = serializers.ChoiceField(choices=PromptLink.Kind.choices)
    reason = serializers.CharField(help_text="Why it was taken.")


class RunOriginObject(serializers.Serializer):
    """What made an answer."""

    id = serializers.CharField(help_text="The run's.")
    object = serializers.ChoiceField(choices=[OBJECT])
    created_at = UnixTime()
    thread_id = serializers.CharField()
    assistant_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    environment = serializers.ChoiceField(
        choices=Environment.choices, allow_null=True, help_text="Where it was looked up; `null` for the draft."
    )
    version = RunVersionObject(allow_null=True, help_text="`null` for the draft.")
    deployment = RunDeploymentObject(allow_null=True, help_text="`null` where nothing deployed made it.")
    prompts = UsedPromptObject(many=True)
    feedback = FeedbackObject(many=True)
    replay_of = serializers.CharField(
        allow_null=True, help_text="The run whose question it answers again; `null` where it is no replay."
    )
    replays = serializers.ListField(
        child=serializers.CharField(),
        help_text=f"The newest {origins.REPLAYS_TOLD} runs that answer its question again, the newest first.",
    )


class RunOriginView(ApiView):
    """A run as the life of assistants sees it."""

    scopes = {"GET": RUNS_READ}

    @extend_schema(
        operation_id="retrieveRunOrigin",
        tags=TAGS,
        responses=RunOriginObject,
        examples=[OpenApiExample("Version 3 in production", EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Tell what made an answer.

        The version of the assistant, where it was deployed, which prompts in which versions and why these, and what
        was said of the answer. What the run did stands at `/v1/threads/{thread_id}/runs/{run_id}`.
        """
        principal = principal_of(request)
        origin = origins.origin_of(principal=principal, run_id=run_id)
        if principal.allows(CONVERSATIONS_READ):
            note_reading(principal=principal, thread=origin.run.thread)
        return Response(render_origin(origin))


def render_origin(origin: Origin) -> dict[str, Any]:
    run, deployment = origin.run, origin.deployment
    status = deployment.status if deployment is not None else None
    return {
        "id": run.id,
        "object": OBJECT,
        "created_at": unix(run.created_at),
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "status": run.status,
        "environment": run.environment,
        "version": {"id": run.version_id, "number": origin.number} if run.version_id else None,
        "deployment": {"id": run.deployment_id, "status": status} if run.deployment_id else None,
        "prompts": [_prompt(used) for used in origin.prompts],
        "feedback": [render_feedback(said) for said in origin.feedback],
        "replay_of": run.replay_of,
        "replays": list(origin.replays),
    }


def _prompt(used: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_id": used["prompt"],
        "name": used["name"],
        "version_id": used["version"],
        "number": used["number"],
        "kind": used["kind"],
        "reason": used["reason"],
    }
