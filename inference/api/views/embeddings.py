from __future__ import annotations

import base64
from array import array
from functools import partial
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from inference import gateway
from inference.api.answering import json_response
from inference.api.conversation import attribution_of
from inference.api.failures import told
from inference.api.objects import EmbeddingList, ModerationObject
from inference.api.serializers import EmbeddingRequestBody, ModerationRequestBody
from inference.api.views.chat import ModelCallView, question_of
from inference.calls import EmbeddingRequest, ModerationRequest
from sovereign.accounts.scopes import CHAT_WRITE
from sovereign.core.asgi import LaterResponse
from sovereign.core.errors import ApiError
from sovereign.core.ids import new_id

MODERATOR = "omni-moderation-latest"
NO_MODERATOR = "No model of this server can judge texts: add a provider that has a moderation model."


def packed(vector: list[float]) -> str:
    """32-bit floats, little-endian, in base64: what SDKs ask for, since it is a third as long."""
    floats = array("f", vector)
    return base64.b64encode(floats.tobytes()).decode()


async def _embed(asked: EmbeddingRequest, encoding: str) -> HttpResponse:
    with told():
        embedded = await gateway.embed(asked)
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if encoding == "base64" else vector}
        for index, vector in enumerate(embedded.vectors)
    ]
    tokens = embedded.usage.prompt_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_response({"object": "list", "data": data, "model": asked.model, "usage": usage})


async def _moderate(asked: ModerationRequest) -> HttpResponse:
    with told():
        moderated = await gateway.moderate(asked)
    return json_response({"id": new_id("modr-"), "model": asked.model, "results": moderated.results})


class EmbeddingsView(ModelCallView):
    """Make vectors of texts."""

    scopes: ClassVar = {"POST": CHAT_WRITE}
    serializer_class = EmbeddingRequestBody

    @extend_schema(operation_id="createEmbedding", request=EmbeddingRequestBody, responses=EmbeddingList)
    def post(self, request: Request) -> LaterResponse:
        """Make vectors of texts."""
        body, principal = question_of(self, request)
        gateway.check_model(body["model"], project_id=principal.project_id, ability="embeddings")
        asked = EmbeddingRequest(
            model=body["model"],
            texts=body["input"],
            dimensions=body.get("dimensions"),
            end_user=body.get("user"),
            attribution=attribution_of(principal, "embedding"),
        )
        return LaterResponse(partial(_embed, asked, body.get("encoding_format", "float")))


class ModerationsView(ModelCallView):
    """Judge texts."""

    scopes: ClassVar = {"POST": CHAT_WRITE}
    serializer_class = ModerationRequestBody

    @extend_schema(operation_id="createModeration", request=ModerationRequestBody, responses=ModerationObject)
    def post(self, request: Request) -> LaterResponse:
        """Judge whether texts are harmful.

        Only where a model does that; else the answer is a 404 that says so.
        """
        body, principal = question_of(self, request)
        model = body.get("model", MODERATOR)
        self._find_moderator(model, principal.project_id)
        inputs: list[Any] = body["input"]
        attribution = attribution_of(principal, "moderation")
        return LaterResponse(partial(_moderate, ModerationRequest(model=model, inputs=inputs, attribution=attribution)))

    def _find_moderator(self, model: str, project_id: str) -> None:
        try:
            gateway.check_model(model, project_id=project_id, ability="moderations")
        except ApiError as error:
            if "model" in self.request.data and "moderation" not in model:
                raise
            raise ApiError(NO_MODERATOR, status=404, param="model", code=error.code) from None
