from __future__ import annotations

from functools import partial

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api.stream_objects import STREAM
from runs.api.views import asking, note, rights_of
from runs.conversations import services
from runs.conversations.api import objects
from runs.conversations.api.answering import answered
from runs.conversations.api.serializers import (
    ContextRequest,
    EndRequest,
    SatisfactionRequest,
    SayRequest,
    StartConversationRequest,
)
from runs.conversations.models import Conversation
from runs.conversations.rendering import render_conversation, render_listed, render_summary
from runs.streaming.reader import frames
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView, Stream
from sovereign.accounts.scopes import THREADS_READ, THREADS_WRITE
from sovereign.core.api.pagination import page_of, paginate, paginate_together
from sovereign.core.api.schema import EVENT_STREAM, JSON, PAGE_PARAMETERS
from sovereign.core.asgi import LaterResponse
from sovereign.core.sse import sse_response
from threads.api.objects import MessageList, MessageObject
from threads.models import Message
from threads.rendering import render_message
from threads.services import note_reading

RUN = "x-sovereign-run"
BY_ACTIVITY = ("last_activity_at", "id")
READ = {"GET": THREADS_READ}
WRITE = {"POST": THREADS_WRITE, "PUT": THREADS_WRITE}
OF_ASSISTANT = OpenApiParameter("assistant_id", str, description="Only those with this assistant.")


def read_conversation(request: Request, conversation_id: str) -> Conversation:
    """The conversation to be shown; another member's is noted as read."""
    principal = principal_of(request)
    conversation = services.get_conversation(principal=principal, conversation_id=conversation_id)
    note_reading(principal=principal, thread=conversation.thread)
    return conversation


def shown(request: Request, conversation: Conversation) -> Response:
    """A conversation that was changed."""
    note_reading(principal=principal_of(request), thread=conversation.thread)
    return Response(render_conversation(conversation))


class StartView(ApiView):
    """Start a conversation."""

    scopes = WRITE
    serializer_class = StartConversationRequest

    @extend_schema(
        operation_id="startConversation", request=StartConversationRequest, responses=objects.ConversationObject
    )
    def post(self, request: Request) -> Response:
        """Start a conversation.

        It has a thread of its own, which is a thread like any other. Nobody answers until something is said.
        """
        fields = {name: value for name, value in self.body().items() if value is not None}
        context = fields.pop("context", {})
        return Response(render_conversation(services.start(principal=asking(request), **fields, **context)))


class ActiveView(ApiView):
    """List the conversations that have not ended."""

    scopes = READ

    @extend_schema(
        operation_id="listActiveConversations",
        parameters=[*PAGE_PARAMETERS, OF_ASSISTANT],
        responses=objects.ConversationList,
    )
    def get(self, request: Request) -> Response:
        """The conversations that have not ended.

        By the last thing that was said or changed: the newest first, unless `order` says otherwise.
        """
        visible = Conversation.objects.visible_to(principal_of(request)).select_related("thread")
        rows = visible.active()
        if assistant_id := request.query_params.get("assistant_id"):
            rows = rows.filter(assistant_id=assistant_id)
        page = page_of(request.query_params)
        return Response(paginate_together(rows, page, order_by=BY_ACTIVITY, render=render_listed, places=(visible,)))


class ConversationView(ApiView):
    """Read a conversation."""

    scopes = READ

    @extend_schema(operation_id="getConversation", responses=objects.ConversationObject)
    def get(self, request: Request, conversation_id: str) -> Response:
        """A conversation, with what its model sees of it."""
        return Response(render_conversation(read_conversation(request, conversation_id)))


class MessagesView(ApiView):
    """List what was said, or say something."""

    scopes = READ | WRITE
    serializer_class = SayRequest
    spends_tokens = True

    @extend_schema(operation_id="listConversationMessages", parameters=PAGE_PARAMETERS, responses=MessageList)
    def get(self, request: Request, conversation_id: str) -> Response:
        """A conversation's messages.

        All of them, whatever the model is shown.
        """
        thread = read_conversation(request, conversation_id).thread
        page = page_of(request.query_params)
        messages = Message.objects.of_thread(thread.id)
        return Response(paginate(messages, page, order_by=("position",), render=render_message))

    @extend_schema(
        operation_id="sayInConversation",
        request=SayRequest,
        responses={(200, JSON): MessageObject, (200, EVENT_STREAM): STREAM},
    )
    def post(self, request: Request, conversation_id: str) -> Stream:
        """Say something, and get the assistant's answer.

        One request appends the user's message and runs the assistant; the answer is the message that it writes, once it
        is complete. With `stream: true` it is the stream of the run's events. Who leaves stops nothing: the answer is
        among the messages later.
        A run that fails is told as an error, with its own code; one that waits for the application's tools as 409
        `run_requires_action`. The header `x-sovereign-run` names the run in any case.
        """
        fields = self.body()
        fields.pop("stream", None)
        begun = services.say(principal=principal_of(request), conversation_id=conversation_id, **fields)
        note(request, begun.run)
        return Stream(begun.run.id, begun.cursor)

    def open(self, request: Request, stream: Stream) -> HttpResponseBase:
        rights = rights_of(request)
        response: HttpResponseBase
        if self.body().get("stream"):
            response = sse_response(frames(stream.subject, stream.cursor, rights))
        else:
            response = LaterResponse(partial(answered, stream.subject, stream.cursor, rights))
        response[RUN] = stream.subject
        return response


class ContextView(ApiView):
    """Change what later answers are made with."""

    scopes = WRITE
    serializer_class = ContextRequest

    @extend_schema(
        operation_id="changeConversationContext", request=ContextRequest, responses=objects.ConversationObject
    )
    def put(self, request: Request, conversation_id: str) -> Response:
        """Change what later answers are made with.

        What is not sent stays. A run that was begun goes on with what there was then.
        """
        principal = principal_of(request)
        return shown(
            request, services.change_context(principal=principal, conversation_id=conversation_id, **self.body())
        )


class EndView(ApiView):
    """End a conversation."""

    scopes = WRITE
    serializer_class = EndRequest

    @extend_schema(operation_id="endConversation", request=EndRequest, responses=objects.ConversationObject)
    def post(self, request: Request, conversation_id: str) -> Response:
        """End a conversation.

        Nothing more may be said in it; an answer in the making is cancelled. Its thread stays. To end one that has
        ended changes nothing.
        """
        reason = self.body().get("reason") or ""
        return shown(
            request, services.end(principal=principal_of(request), conversation_id=conversation_id, reason=reason)
        )


class SatisfactionView(ApiView):
    """Say how good a conversation was."""

    scopes = WRITE
    serializer_class = SatisfactionRequest

    @extend_schema(operation_id="rateConversation", request=SatisfactionRequest, responses=objects.ConversationObject)
    def post(self, request: Request, conversation_id: str) -> Response:
        """Say how good a conversation was.

        The latest stands; also after its end.
        """
        principal = principal_of(request)
        return shown(request, services.rate(principal=principal, conversation_id=conversation_id, **self.body()))


class SummaryView(ApiView):
    """Tell what came of a conversation so far."""

    scopes = READ

    @extend_schema(operation_id="getConversationSummary", responses=objects.ConversationSummaryObject)
    def get(self, request: Request, conversation_id: str) -> Response:
        """What came of a conversation so far.

        How long it is and what it used, what the model sees of it, and what the model itself wrote about the part that
        it does not see any more.
        """
        return Response(render_summary(read_conversation(request, conversation_id)))
