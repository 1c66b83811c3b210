from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import THREADS_READ, THREADS_WRITE
from sovereign.core.api.pagination import page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS
from threads import services
from threads.api.objects import (
    DeletedMessage,
    DeletedThread,
    MessageList,
    MessageObject,
    ModifiedMessageObject,
    ThreadObject,
)
from threads.api.serializers import MessageRequest, ModifyMessageRequest, ModifyThreadRequest, ThreadRequest
from threads.models import Message, Thread
from threads.rendering import render_message, render_thread

READ_AND_WRITE = {"GET": THREADS_READ, "POST": THREADS_WRITE, "DELETE": THREADS_WRITE}


def read_thread(request: Request, thread_id: str) -> Thread:
    """The thread to be shown; another member's chat is noted as read."""
    principal = principal_of(request)
    thread = services.get_thread(principal=principal, thread_id=thread_id)
    services.note_reading(principal=principal, thread=thread)
    return thread


class ThreadsView(ApiView):
    """Make a thread. The contract has no list of threads."""

    scopes = {"POST": THREADS_WRITE}
    requires_beta = True
    serializer_class = ThreadRequest

    @extend_schema(operation_id="createThread", request=ThreadRequest, responses=ThreadObject)
    def post(self, request: Request) -> Response:
        """Make a thread.

        All fields may be left out, and so may the body.
        """
        body = self.body()
        fields = {**body, "messages": body.get("messages") or []}
        return Response(render_thread(services.create_thread(principal=principal_of(request), **fields)))


class ThreadView(ApiView):
    """Read, modify or delete one thread."""

    scopes = READ_AND_WRITE
    requires_beta = True
    serializer_class = ModifyThreadRequest

    @extend_schema(operation_id="getThread", responses=ThreadObject)
    def get(self, request: Request, thread_id: str) -> Response:
        """Read a thread."""
        return Response(render_thread(read_thread(request, thread_id)))

    @extend_schema(operation_id="modifyThread", request=ModifyThreadRequest, responses=ThreadObject)
    def post(self, request: Request, thread_id: str) -> Response:
        """Change a thread.

        Only the fields that are sent change, each as a whole.
        """
        principal = principal_of(request)
        thread = services.update_thread(principal=principal, thread_id=thread_id, **self.body())
        services.note_reading(principal=principal, thread=thread)
        return Response(render_thread(thread))

    @extend_schema(operation_id="deleteThread", responses=DeletedThread)
    def delete(self, request: Request, thread_id: str) -> Response:
        """Delete a thread.

        Its messages, runs and steps go with it.
        """
        services.delete_thread(principal=principal_of(request), thread_id=thread_id)
        return Response({"id": thread_id, "object": "thread.deleted", "deleted": True})


class MessagesView(ApiView):
    """List a thread's messages, or append one."""

    scopes = READ_AND_WRITE
    requires_beta = True
    serializer_class = MessageRequest

    @extend_schema(
        operation_id="listMessages",
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("run_id", str, description="Only the messages of this run.")],
        responses=MessageList,
    )
    def get(self, request: Request, thread_id: str) -> Response:
        """A thread's messages."""
        thread = read_thread(request, thread_id)
        messages = Message.objects.of_thread(thread.id)
        if run_id := request.query_params.get("run_id"):
            messages = messages.filter(run_id=run_id)
        page = page_of(request.query_params)
        return Response(paginate(messages, page, order_by=("position",), render=render_message))

    @extend_schema(operation_id="createMessage", request=MessageRequest, responses=MessageObject)
    def post(self, request: Request, thread_id: str) -> Response:
        """Append a message.

        Refused while a run is active on the thread.
        """
        message = services.create_message(principal=principal_of(request), thread_id=thread_id, **self.body())
        return Response(render_message(message))


class MessageView(ApiView):
    """Read or delete one message, or replace its metadata."""

    scopes = READ_AND_WRITE
    requires_beta = True
    serializer_class = ModifyMessageRequest

    @extend_schema(operation_id="getMessage", responses=MessageObject)
    def get(self, request: Request, thread_id: str, message_id: str) -> Response:
        """Read a message."""
        principal = principal_of(request)
        message = services.get_message(principal=principal, thread_id=thread_id, message_id=message_id)
        services.note_reading(principal=principal, thread=message.thread)
        return Response(render_message(message))

    @extend_schema(operation_id="modifyMessage", request=ModifyMessageRequest, responses=ModifiedMessageObject)
    def post(self, request: Request, thread_id: str, message_id: str) -> Response:
        """Replace a message's metadata."""
        principal = principal_of(request)
        message = services.update_message(
            principal=principal, thread_id=thread_id, message_id=message_id, **self.body()
        )
        services.note_reading(principal=principal, thread=message.thread)  # the answer is the whole message
        # the recorded service answers a modification with the older field besides
        file_ids = [attachment["file_id"] for attachment in message.attachments]
        return Response({**render_message(message), "file_ids": file_ids})

    @extend_schema(operation_id="deleteMessage", responses=DeletedMessage)
    def delete(self, request: Request, thread_id: str, message_id: str) -> Response:
        """Delete a message.

        Refused while a run is writing it.
        """
        services.delete_message(principal=principal_of(request), thread_id=thread_id, message_id=message_id)
        return Response({"id": message_id, "object": "thread.message.deleted", "deleted": True})
