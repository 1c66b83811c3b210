from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api.objects import RunList, RunObject, StepList, StepObject
from runs.api.serializers import (
    FOUND_CONTENT,
    ModifyRunRequest,
    RunRequest,
    ThreadAndRunRequest,
    ToolOutputsRequest,
    cursor_of,
    wants_contents,
    wants_stream,
)
from runs.api.stream_objects import STREAM
from runs.models import Run, RunStep
from runs.rendering import render_run_row, render_step, without_contents
from runs.services import control, creation
from runs.services.creation import Begun
from runs.services.environments import acting_in, trying
from runs.states import ACTIVE
from runs.streaming.reader import frames
from runs.streaming.rights import Rights
from sovereign.accounts import credentials
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView, Stream
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CONVERSATIONS_READ, RUNS_READ, RUNS_WRITE
from sovereign.core.api.pagination import page_of, paginate
from sovereign.core.api.polling import POLL_AFTER, polled
from sovereign.core.api.schema import EVENT_STREAM, JSON, PAGE_PARAMETERS
from sovereign.core.sse import sse_response
from threads.services import get_thread, note_reading

ENVIRONMENT = "X-Sovereign-Environment"  # what a person chose in the chat; keys bring their own
VERSION = "X-Sovereign-Version"  # what a person tries in the admin, in place of what is in an environment
READ_AND_WRITE = {"GET": RUNS_READ, "POST": RUNS_WRITE}
STREAM_PARAMETERS = [
    OpenApiParameter("stream", bool, description="Follow the run as server-sent events."),
    OpenApiParameter("starting_after", int, description="Resume the stream behind this event's number (its `id:`)."),
    OpenApiParameter(
        "Last-Event-ID", int, OpenApiParameter.HEADER, description="The same, as browsers say it by themselves."
    ),
]
INCLUDE = OpenApiParameter(
    "include[]",
    {"type": "array", "items": {"type": "string", "enum": [FOUND_CONTENT]}},
    description="What else the answer is to hold: the text of the passages that a file search found.",
)
EITHER = {(200, JSON): RunObject, (200, EVENT_STREAM): STREAM}


def answer(begun: Begun, *, stream: bool | None) -> Response | Stream:
    """A run that was begun: as an object, or as a stream from its cursor."""
    return Stream(begun.run.id, begun.cursor) if stream else run_response(begun.run)


def rights_of(request: Request) -> Rights:
    """What a stream goes on with after its request was let in."""
    principal = principal_of(request)
    return Rights(principal, credentials.login_of(principal, getattr(request._request, "session", {})))


def asking(request: Request) -> Principal:
    """Who wants a run, in the environment where it is to be looked up.

    :raises ApiError: 400 or 403, a person chose what is not there, or not theirs to choose.
    """
    return acting_in(principal_of(request), request.headers.get(ENVIRONMENT))


def tried(request: Request) -> str | None:
    """:raises ApiError: 403, a person chose what is not theirs to choose."""
    return trying(principal_of(request), request.headers.get(VERSION))


def note(request: Request, run: Run) -> None:
    """Note that the run of another member's chat is read; only who may do that costs a look at the thread."""
    principal = principal_of(request)
    if principal.allows(CONVERSATIONS_READ):
        note_reading(principal=principal, thread=run.thread)


def shown(run: Run, step: RunStep, contents: bool) -> dict[str, Any]:
    """A step, with the texts that it found where they are asked for."""
    step_shown = render_step(run, step)
    return step_shown if contents else without_contents(step_shown)


def run_response(run: Run) -> Response:
    return polled(Response(render_run_row(run)), is_over=run.status not in ACTIVE)


class RunningView(ApiView):
    """A view whose ``POST`` makes a run go on, and may answer with its stream."""

    spends_tokens = True

    def prepare(self, request: Request, **names: str) -> None:
        wants_contents(request.query_params)
        super().prepare(request, **names)

    def open(self, request: Request, stream: Stream) -> HttpResponseBase:
        contents = wants_contents(request.query_params)
        return sse_response(frames(stream.subject, stream.cursor, rights_of(request), contents=contents))


class ChangingView(ApiView):
    """A view whose ``POST`` changes a run: one that is past its end of life is expired, however that is answered."""

    def prepare(self, request: Request, **names: str) -> None:
        control.expire_overdue(principal=principal_of(request), **names)


class ThreadAndRunView(RunningView):
    """Make a thread and run an assistant on it, in one request."""

    scopes = {"POST": RUNS_WRITE}
    requires_beta = True
    serializer_class = ThreadAndRunRequest

    @extend_schema(
        operation_id="createThreadAndRun",
        request=ThreadAndRunRequest,
        parameters=[INCLUDE, POLL_AFTER],
        responses=EITHER,
    )
    def post(self, request: Request) -> Response | Stream:
        """Make a thread and a run on it.

        With `stream: true` the answer is a stream of events, until the run is over or waits for tool outputs.
        """
        fields = self.body()
        stream, thread = fields.pop("stream", None), fields.pop("thread", None) or {}
        begun = creation.create_thread_and_run(
            principal=asking(request), version=tried(request), thread=thread, **fields
        )
        return answer(begun, stream=stream)


class RunsView(RunningView):
    """List a thread's runs, or run an assistant on it."""

    scopes = READ_AND_WRITE
    requires_beta = True
    serializer_class = RunRequest

    @extend_schema(operation_id="listRuns", parameters=PAGE_PARAMETERS, responses=RunList)
    def get(self, request: Request, thread_id: str) -> Response:
        """A thread's runs."""
        principal = principal_of(request)
        thread = get_thread(principal=principal, thread_id=thread_id)
        note_reading(principal=principal, thread=thread)
        runs = control.list_runs(thread, principal=principal)
        page = page_of(request.query_params)
        return Response(paginate(runs, page, order_by=("created_at", "id"), render=render_run_row))

    @extend_schema(operation_id="createRun", request=RunRequest, parameters=[INCLUDE, POLL_AFTER], responses=EITHER)
    def post(self, request: Request, thread_id: str) -> Response | Stream:
        """Run an assistant on a thread.

        One run at a time holds the thread.
        With `stream: true` the answer is a stream of events, until the run is over or waits for tool outputs.
        """
        fields = self.body()
        stream = fields.pop("stream", None)
        begun = creation.create_run(principal=asking(request), version=tried(request), thread_id=thread_id, **fields)
        note(request, begun.run)
        return answer(begun, stream=stream)


class RunView(ChangingView):
    """Read a run, follow it as a stream, or replace its metadata."""

    scopes = READ_AND_WRITE
    requires_beta = True
    serializer_class = ModifyRunRequest

    @extend_schema(operation_id="getRun", parameters=[*STREAM_PARAMETERS, INCLUDE, POLL_AFTER], responses=EITHER)
    def get(self, request: Request, thread_id: str, run_id: str) -> HttpResponseBase:
        """Read a run, or follow it.

        With `stream=true` the answer is the run's events: from its beginning, or behind the one a client saw last.
        """
        contents = wants_contents(request.query_params)
        run = control.get_run(principal=principal_of(request), thread_id=thread_id, run_id=run_id)
        note(request, run)
        if wants_stream(request.query_params):
            cursor = cursor_of(request.query_params.get("starting_after") or request.headers.get("Last-Event-ID"))
            return sse_response(frames(run.id, cursor, rights_of(request), resumed=True, contents=contents))
        return run_response(run)

    @extend_schema(operation_id="modifyRun", request=ModifyRunRequest, parameters=[POLL_AFTER], responses=RunObject)
    def post(self, request: Request, thread_id: str, run_id: str) -> Response:
        """Replace a run's metadata."""
        run = control.update_run(principal=principal_of(request), thread_id=thread_id, run_id=run_id, **self.body())
        note(request, run)
        return run_response(run)


class CancelView(ChangingView):
    """Cancel a run."""

    scopes = {"POST": RUNS_WRITE}
    requires_beta = True

    @extend_schema(operation_id="cancelRun", request=None, parameters=[POLL_AFTER], responses=RunObject)
    def post(self, request: Request, thread_id: str, run_id: str) -> Response:
        """Cancel a run.

        The answer says `cancelling`; the run is `cancelled` once whoever works on it has stopped.
        """
        run = control.cancel_run(principal=principal_of(request), thread_id=thread_id, run_id=run_id)
        note(request, run)
        return run_response(run)


class SubmitToolOutputsView(RunningView, ChangingView):
    """Give a run the outputs of the tool calls it waits for."""

    scopes = {"POST": RUNS_WRITE}
    requires_beta = True
    serializer_class = ToolOutputsRequest

    @extend_schema(
        operation_id="submitToolOutputsToRun",
        request=ToolOutputsRequest,
        parameters=[INCLUDE, POLL_AFTER],
        responses=EITHER,
    )
    def post(self, request: Request, thread_id: str, run_id: str) -> Response | Stream:
        """Give a run the outputs of its tool calls.

        All outputs that the run waits for come in one request.
        With `stream: true` the answer is a stream of events, until the run is over or waits for tool outputs.
        """
        body = self.body()
        begun = control.submit_tool_outputs(
            principal=principal_of(request),
            thread_id=thread_id,
            run_id=run_id,
            tool_outputs=body["tool_outputs"],
        )
        note(request, begun.run)
        return answer(begun, stream=body.get("stream"))


class StepsView(ApiView):
    """List a run's steps."""

    scopes = {"GET": RUNS_READ}
    requires_beta = True

    @extend_schema(operation_id="listRunSteps", parameters=[*PAGE_PARAMETERS, INCLUDE], responses=StepList)
    def get(self, request: Request, thread_id: str, run_id: str) -> Response:
        """A run's steps."""
        contents = wants_contents(request.query_params)
        run = control.get_run(principal=principal_of(request), thread_id=thread_id, run_id=run_id)
        note(request, run)
        page = page_of(request.query_params)
        steps = RunStep.objects.of_run(run.id)
        return Response(paginate(steps, page, order_by=("position",), render=lambda step: shown(run, step, contents)))


class StepView(ApiView):
    """Read one step."""

    scopes = {"GET": RUNS_READ}
    requires_beta = True

    @extend_schema(operation_id="getRunStep", parameters=[INCLUDE], responses=StepObject)
    def get(self, request: Request, thread_id: str, run_id: str, step_id: str) -> Response:
        """Read a step."""
        contents = wants_contents(request.query_params)
        run, step = control.get_step(
            principal=principal_of(request), thread_id=thread_id, run_id=run_id, step_id=step_id
        )
        note(request, run)
        return Response(shown(run, step, contents))
