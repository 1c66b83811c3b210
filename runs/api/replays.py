"""A run's question asked again: ``/api/v1/runs/{run_id}/replay``."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.api.lifecycle.base import LifecycleView
from assistants.models import MODEL_LENGTH
from runs.api.feedback import TAGS
from runs.api.origins import RunOriginObject, render_origin
from runs.services import origins, replaying
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import RUNS_WRITE
from sovereign.core.api.validation import StrictSerializer, StrictString

VERSION_LENGTH = 64
VERSION = (
    "Of the run's assistant: a number, an id, or `draft` for it as it is now. Without it the run's own configuration "
    "is used, as it was frozen then."
)
MODEL = "In place of the one that it would be."


class ReplayRequest(StrictSerializer):
    version = StrictString(max_length=VERSION_LENGTH, required=False, allow_null=True, help_text=VERSION)
    model = StrictString(max_length=MODEL_LENGTH, required=False, allow_null=True, help_text=MODEL)


class ReplayView(LifecycleView):
    """Ask again what a run was asked."""

    scopes = {"POST": RUNS_WRITE}
    actions = {"POST": "run.replay"}
    subject = "run_id"
    spends_tokens = True
    serializer_class = ReplayRequest

    @extend_schema(
        operation_id="replayRun",
        tags=TAGS,
        request=ReplayRequest,
        responses=RunOriginObject,
        examples=[
            OpenApiExample("With the version that would be next", {"version": "4"}, request_only=True),
            OpenApiExample("With another model", {"model": "qwen3:8b"}, request_only=True),
        ],
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Ask again what a run was asked.

        A new run answers it, on a new thread of the same project that says what the run's own said until then (of a
        long one the first message and the newest 500), with the same files. It is outside of all environments, and
        counts as a trial. Its tools are really called again, and an application's functions wait for the application.
        Follow it as any run, at `/v1/threads/{thread_id}/runs/{run_id}`.

        Not for keys that are bound to an environment, nor for people who may not choose what they talk to.
        """
        principal = principal_of(request)
        begun = replaying.replay(principal=principal, run_id=run_id, **self.body())
        return Response(render_origin(origins.origin_of(principal=principal, run_id=begun.run.id)))
