from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import orjson
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from inference import gateway
from inference.api.answering import Keep, collected, streamed
from inference.api.conversation import chat_request, check_extent, is_forced, seeds_of
from inference.api.objects import (
    CHAT_STREAM,
    ChatCompletionObject,
    DeletedChatCompletion,
    StoredChatCompletionList,
    StoredChatCompletionObject,
    StoredMessageList,
)
from inference.api.rendering import ChatAnswer, ChatChunks, Style, heading
from inference.api.serializers import ChatRequestBody, StoredChatUpdate
from inference.api.stored import (
    check_answer_storable,
    check_storable,
    filtered,
    page_of_stored,
    page_that_fits,
    render_messages,
    render_stored,
)
from inference.chat import ChatRequest
from inference.models import StoredCompletion
from inference.services import completions
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CHAT_READ, CHAT_WRITE
from sovereign.core.api.pagination import BY_CREATION, paginate
from sovereign.core.api.schema import EVENT_STREAM, JSON, PAGE_PARAMETERS
from sovereign.core.asgi import LaterResponse
from sovereign.core.database import in_database

PREFIX = "chatcmpl-"
ASCENDING = OpenApiParameter(
    "order",
    {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
    description="By creation: oldest first (`asc`) or newest first (`desc`).",
)
PAGE = [ASCENDING if one.name == "order" else one for one in PAGE_PARAMETERS if one.name != "before"]
FILTERS = [
    OpenApiParameter("model", str, description="Only those that this model answered."),
    OpenApiParameter(
        "metadata",
        {"type": "object", "additionalProperties": {"type": "string"}},
        style="deepObject",
        explode=True,
        description="Only those with these pairs: `metadata[key]=value`.",
    ),
]


class ModelCallView(ApiView):
    """A view whose ``POST`` is a call of a model: nothing here changes by it, and no thread waits for it."""

    is_recorded = False
    spends_tokens = True


def question_of(view: ApiView, request: Request) -> tuple[dict[str, Any], Principal]:
    """The body without what is null, and who asks."""
    body = {name: value for name, value in view.body().items() if value is not None}
    return body, principal_of(request)


def answer_chat(body: dict[str, Any], principal: Principal) -> LaterResponse:
    """:raises ApiError: 400, 404, before any model is called."""
    asked = chat_request(body, principal)
    gateway.check_model(asked.model, project_id=principal.project_id, ability="chat")
    choices = body.get("n", 1)
    if choices > 1 or body.get("store"):
        size = len(orjson.dumps(body))
        check_extent(size, choices)
        if body.get("store"):
            check_storable(size)
    style = Style(
        choices=choices,
        old="functions" in body,
        forced=is_forced(asked.tool_choice),
        counts=bool(body.get("stream_options", {}).get("include_usage")),
    )
    return LaterResponse(partial(_answer, asked, style, body, principal))


async def _answer(asked: ChatRequest, style: Style, body: dict[str, Any], principal: Principal) -> Any:
    answer = ChatAnswer(heading(PREFIX, asked.model), style)

    async def keep(content: bytes) -> None:
        check_answer_storable(len(content))
        rendered = orjson.loads(content)
        await in_database(completions.store_completion, principal=principal, body=body, answer=rendered)

    sources = await gateway.in_turns([gateway.stream(one) for one in _each(asked, style.choices)], asked.attribution)
    keeps: Keep | None = keep if body.get("store") else None
    if not body.get("stream"):
        return await collected(sources, answer, keeps)
    return await streamed(sources, ChatChunks(answer.heading, style), answer if keeps else None, keeps)


def _each(asked: ChatRequest, choices: int) -> list[ChatRequest]:
    """The calls of one request."""
    return [replace(asked, seed=seed) for seed in seeds_of(asked.seed, choices)]


class ChatCompletionsView(ModelCallView):
    """List the stored chat completions, or make one."""

    scopes: ClassVar = {"GET": CHAT_READ, "POST": CHAT_WRITE}
    serializer_class = ChatRequestBody

    @extend_schema(operation_id="listChatCompletions", parameters=[*FILTERS, *PAGE], responses=StoredChatCompletionList)
    def get(self, request: Request) -> Response:
        """The stored chat completions."""
        visible = StoredCompletion.objects.visible_to(principal_of(request)).defer("messages")
        rows = filtered(visible, request.query_params)
        page = page_that_fits(rows, page_of_stored(request.query_params))
        return Response(paginate(rows, page, order_by=BY_CREATION, render=render_stored))

    @extend_schema(
        operation_id="createChatCompletion",
        request=ChatRequestBody,
        responses={(200, JSON): ChatCompletionObject, (200, EVENT_STREAM): CHAT_STREAM},
    )
    def post(self, request: Request) -> LaterResponse:
        """Answer a chat.

        With `stream: true` the answer is a stream of chunks, and `data: [DONE]` at its end.
        Nothing is kept, unless `store` asks for it: then its request may have 1 MB and its answer 2 MB, and of each
        project the newest 10,000 are kept. It is not recognised when it is sent again.
        """
        return answer_chat(*question_of(self, request))


class ChatCompletionStreamView(ChatCompletionsView):
    """A chat that is always streamed."""

    http_method_names = ["post", "options"]

    def post(self, request: Request) -> LaterResponse:
        """Answer a chat as a stream."""
        body, principal = question_of(self, request)
        return answer_chat({**body, "stream": True}, principal)


class StoredChatCompletionView(ApiView):
    """Read, note something about, or delete one stored chat completion."""

    scopes: ClassVar = {"GET": CHAT_READ, "POST": CHAT_WRITE, "DELETE": CHAT_WRITE}
    serializer_class = StoredChatUpdate

    @extend_schema(operation_id="getChatCompletion", responses=StoredChatCompletionObject)
    def get(self, request: Request, completion_id: str) -> Response:
        """Read a stored chat completion."""
        found = completions.get_completion(principal=principal_of(request), completion_id=completion_id)
        return Response(render_stored(found))

    @extend_schema(operation_id="updateChatCompletion", request=StoredChatUpdate, responses=StoredChatCompletionObject)
    def post(self, request: Request, completion_id: str) -> Response:
        """Replace a stored chat completion's metadata."""
        changed = completions.update_completion(
            principal=principal_of(request), completion_id=completion_id, **self.body()
        )
        return Response(render_stored(changed))

    @extend_schema(operation_id="deleteChatCompletion", responses=DeletedChatCompletion)
    def delete(self, request: Request, completion_id: str) -> Response:
        """Delete a stored chat completion."""
        completions.delete_completion(principal=principal_of(request), completion_id=completion_id)
        return Response({"object": "chat.completion.deleted", "id": completion_id, "deleted": True})


class StoredMessagesView(ApiView):
    """List the messages of a stored chat completion."""

    scopes: ClassVar = {"GET": CHAT_READ}

    @extend_schema(operation_id="getChatCompletionMessages", parameters=PAGE, responses=StoredMessageList)
    def get(self, request: Request, completion_id: str) -> Response:
        """What was asked in a stored chat completion."""
        found = completions.get_completion(principal=principal_of(request), completion_id=completion_id)
        return Response(render_messages(found, page_of_stored(request.query_params)))
