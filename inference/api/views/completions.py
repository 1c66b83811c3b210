from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import orjson
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from inference import gateway
from inference.api.answering import collected, streamed
from inference.api.conversation import attribution_of, check_beside, check_extent, seeds_of
from inference.api.objects import COMPLETION_STREAM, CompletionObject
from inference.api.rendering import heading
from inference.api.serializers import CompletionRequestBody
from inference.api.texts import CompletionAnswer, CompletionChunks, Plan
from inference.api.views.chat import ModelCallView, question_of
from inference.calls import CompletionRequest
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CHAT_WRITE
from sovereign.core.api.schema import EVENT_STREAM, JSON
from sovereign.core.asgi import LaterResponse
from sovereign.core.errors import ApiError

MAXIMUM_TOKENS = 16  # of an answer, where nothing is said
MAXIMUM_CALLS = 2_048  # of one request


def plan_of(body: dict[str, Any]) -> Plan:
    """:raises ApiError: 400, what does not go together, or is too much together."""
    check_beside(body, "stream_options", "stream")
    answers = body.get("n", 1)
    tries = body.get("best_of") or answers
    if tries < answers:
        raise ApiError("'best_of' must be at least 'n'.", param="best_of", code="invalid_value")
    if tries > answers and body.get("stream"):
        raise ApiError("Only all answers can be streamed: 'best_of' has to be 'n'.", param="best_of")
    plan = Plan(
        prompts=len(body["prompt"]),
        answers=answers,
        tries=tries,
        logprobs="logprobs" in body,
        counts=bool(body.get("stream_options", {}).get("include_usage")),
    )
    if plan.calls > MAXIMUM_CALLS:
        raise ApiError(f"A request can have {MAXIMUM_CALLS} answers in all.", param="n", code="invalid_value")
    check_extent(len(orjson.dumps(body["prompt"])), plan.tries)
    check_extent(len(orjson.dumps({**body, "prompt": None})), plan.calls)
    return plan


def completion_requests(body: dict[str, Any], plan: Plan, principal: Principal) -> list[CompletionRequest]:
    logprobs = body.get("logprobs")
    if logprobs is None and plan.tries > plan.answers:
        logprobs = 0  # the likeliest cannot be found without
    return [
        CompletionRequest(
            model=body["model"],
            prompt=prompt,
            suffix=body.get("suffix"),
            max_tokens=body.get("max_tokens", MAXIMUM_TOKENS),
            temperature=body.get("temperature"),
            top_p=body.get("top_p"),
            stop=body.get("stop", []),
            seed=seed,
            presence_penalty=body.get("presence_penalty"),
            frequency_penalty=body.get("frequency_penalty"),
            logit_bias=body.get("logit_bias"),
            logprobs=logprobs,
            echo=body.get("echo", False),
            end_user=body.get("user"),
            attribution=attribution_of(principal, "completion"),
        )
        for prompt in body["prompt"]
        for seed in seeds_of(body.get("seed"), plan.tries)
    ]


async def _answer(requests: list[CompletionRequest], plan: Plan, stream: bool) -> Any:
    head = heading("cmpl-", requests[0].model)
    sources = await gateway.in_turns([gateway.complete(one) for one in requests], requests[0].attribution)
    if stream:
        return await streamed(sources, CompletionChunks(head, plan))
    return await collected(sources, CompletionAnswer(head, plan))


class CompletionsView(ModelCallView):
    """Continue texts."""

    scopes: ClassVar = {"POST": CHAT_WRITE}
    serializer_class = CompletionRequestBody

    @extend_schema(
        operation_id="createCompletion",
        request=CompletionRequestBody,
        responses={(200, JSON): CompletionObject, (200, EVENT_STREAM): COMPLETION_STREAM},
    )
    def post(self, request: Request) -> LaterResponse:
        """Continue a text, without a chat's template.

        With `stream: true` the answer is a stream of chunks, and `data: [DONE]` at its end.
        """
        body, principal = question_of(self, request)
        plan = plan_of(body)
        gateway.check_model(body["model"], project_id=principal.project_id, ability="completions")
        requests = completion_requests(body, plan, principal)
        return LaterResponse(partial(_answer, requests, plan, bool(body.get("stream"))))
