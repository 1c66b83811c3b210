"""What models, chats, completions, embeddings and moderations answer, for the documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from inference.api.fields import FunctionToolSerializer
from inference.api.serializers import ChatResponseFormat, ChatToolChoice
from sovereign.core.api.schema import UnixTime, deleted, list_of
from sovereign.core.api.unions import OneOf, Union
from sovereign.core.api.validation import Metadata

REASONS = ["stop", "length", "tool_calls", "content_filter", "function_call"]


class ModelObject(serializers.Serializer):
    """A model that may be called, or another name of one."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["model"])
    created = UnixTime()
    owned_by = serializers.CharField()


def _all_of(name: str, item: type[serializers.Serializer], doc: str, **fields: Any) -> type[serializers.Serializer]:
    """A list that has no pages."""
    kind = serializers.ChoiceField(choices=["list"])
    return type(name, (serializers.Serializer,), {"object": kind, "data": item(many=True), **fields, "__doc__": doc})


ModelList = _all_of("ModelList", ModelObject, "All models.")


class DeletedModel(serializers.Serializer):
    """The name is forgotten."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["model"])
    deleted = serializers.BooleanField()


# ------------------------------------------------------------------------------------------------------- chats


class WrittenFunction(serializers.Serializer):
    name = serializers.CharField()
    arguments = serializers.CharField()


class WrittenCall(serializers.Serializer):
    """A call that the application is to carry out."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["function"])
    function = WrittenFunction()


class TokenChance(serializers.Serializer):
    token = serializers.CharField()
    logprob = serializers.FloatField()
    bytes = serializers.ListField(child=serializers.IntegerField(), allow_null=True)


class TokenLogprob(TokenChance):
    top_logprobs = TokenChance(many=True)


class ChatLogprobs(serializers.Serializer):
    content = TokenLogprob(many=True, allow_null=True)
    refusal = TokenLogprob(many=True, allow_null=True)


class ChatMessageObject(serializers.Serializer):
    """What the model says."""

    role = serializers.ChoiceField(choices=["assistant"])
    content = serializers.CharField(allow_null=True)
    tool_calls = WrittenCall(many=True, required=False)
    function_call = WrittenFunction(required=False)
    refusal = serializers.CharField(allow_null=True)
    annotations = serializers.ListField(child=serializers.DictField(), max_length=0)
    reasoning_content = serializers.CharField(required=False)


class ChatChoice(serializers.Serializer):
    index = serializers.IntegerField()
    message = ChatMessageObject()
    logprobs = ChatLogprobs(allow_null=True)
    finish_reason = serializers.ChoiceField(choices=REASONS)


class PromptTokens(serializers.Serializer):
    cached_tokens = serializers.IntegerField()
    audio_tokens = serializers.IntegerField()


class AnswerTokens(serializers.Serializer):
    reasoning_tokens = serializers.IntegerField()
    audio_tokens = serializers.IntegerField()
    accepted_prediction_tokens = serializers.IntegerField()
    rejected_prediction_tokens = serializers.IntegerField()


class ChatUsage(serializers.Serializer):
    """What a request took."""

    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()
    prompt_tokens_details = PromptTokens()
    completion_tokens_details = AnswerTokens()


class ChatCompletionObject(serializers.Serializer):
    """The answer to a chat."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["chat.completion"])
    created = UnixTime()
    model = serializers.CharField()
    choices = ChatChoice(many=True)
    usage = ChatUsage()
    service_tier = serializers.ChoiceField(choices=["default"])
    system_fingerprint = serializers.CharField()


class StoredChatCompletionObject(ChatCompletionObject):
    """The answer to a chat, with what it was asked for."""

    request_id = serializers.CharField(allow_null=True)
    tool_choice = ChatToolChoice(allow_null=True)
    seed = serializers.IntegerField(allow_null=True)
    top_p = serializers.FloatField()
    temperature = serializers.FloatField()
    presence_penalty = serializers.FloatField()
    frequency_penalty = serializers.FloatField()
    input_user = serializers.CharField(allow_null=True)
    tools = serializers.ListField(child=FunctionToolSerializer(), allow_null=True)
    response_format = ChatResponseFormat(allow_null=True)
    metadata = Metadata(required=True, allow_null=False)


StoredChatCompletionList = list_of(StoredChatCompletionObject)
DeletedChatCompletion = deleted("chat.completion")


class StoredMessageObject(serializers.Serializer):
    """A message that was sent."""

    id = serializers.CharField()
    role = serializers.ChoiceField(choices=["developer", "system", "user", "assistant", "tool", "function"])
    content = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    refusal = serializers.CharField(allow_null=True)
    content_parts = serializers.ListField(child=serializers.DictField(), allow_null=True)
    tool_calls = WrittenCall(many=True, required=False)
    tool_call_id = serializers.CharField(required=False)
    function_call = WrittenFunction(required=False)


StoredMessageList = list_of(StoredMessageObject)


class FunctionPiece(serializers.Serializer):
    name = serializers.CharField(required=False)
    arguments = serializers.CharField()


class CallPiece(serializers.Serializer):
    """A piece of a call; its id and name come with the first."""

    index = serializers.IntegerField()
    id = serializers.CharField(required=False)
    type = serializers.ChoiceField(choices=["function"], required=False)
    function = FunctionPiece()


class ChatPiece(serializers.Serializer):
    """A piece of an answer."""

    role = serializers.ChoiceField(choices=["assistant"], required=False)
    content = serializers.CharField(required=False, allow_null=True)
    refusal = serializers.CharField(required=False, allow_null=True)
    tool_calls = CallPiece(many=True, required=False)
    function_call = FunctionPiece(required=False)
    reasoning_content = serializers.CharField(required=False)


class ChunkChoice(serializers.Serializer):
    index = serializers.IntegerField()
    delta = ChatPiece()
    logprobs = ChatLogprobs(allow_null=True)
    finish_reason = serializers.ChoiceField(choices=REASONS, allow_null=True)


class ChatChunkObject(serializers.Serializer):
    """The `data:` of one frame; the last is `[DONE]`."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["chat.completion.chunk"])
    created = UnixTime()
    model = serializers.CharField()
    service_tier = serializers.ChoiceField(choices=["default"])
    system_fingerprint = serializers.CharField()
    choices = ChunkChoice(many=True)
    usage = ChatUsage(required=False, allow_null=True)


CHAT_STREAM = ChatChunkObject


# ------------------------------------------------------------------------------------------------ completions


class CompletionLogprobs(serializers.Serializer):
    tokens = serializers.ListField(child=serializers.CharField())
    token_logprobs = serializers.ListField(child=serializers.FloatField(allow_null=True))
    top_logprobs = serializers.ListField(child=serializers.DictField(child=serializers.FloatField()))
    text_offset = serializers.ListField(child=serializers.IntegerField())


class CompletionChoice(serializers.Serializer):
    text = serializers.CharField()
    index = serializers.IntegerField()
    logprobs = CompletionLogprobs(allow_null=True)
    finish_reason = serializers.ChoiceField(choices=["stop", "length", "content_filter"], allow_null=True)


class CompletionObject(serializers.Serializer):
    """A text that was continued; the chunks of a stream are of the same shape."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["text_completion"])
    created = UnixTime()
    model = serializers.CharField()
    choices = CompletionChoice(many=True)
    usage = ChatUsage(required=False, allow_null=True)
    system_fingerprint = serializers.CharField()


COMPLETION_STREAM = CompletionObject


# --------------------------------------------------------------------------------- embeddings and moderations


EMBEDDING = Union("EmbeddingVector", ({"type": "array", "items": {"type": "number"}}, {"type": "string"}))


class EmbeddingObject(serializers.Serializer):
    """The vector of one input."""

    object = serializers.ChoiceField(choices=["embedding"])
    index = serializers.IntegerField()
    embedding = OneOf(EMBEDDING)


class EmbeddingUsage(serializers.Serializer):
    prompt_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


EmbeddingList = _all_of(
    "EmbeddingList",
    EmbeddingObject,
    "The vectors, in the order of the inputs.",
    model=serializers.CharField(),
    usage=EmbeddingUsage(),
)


class ModerationObject(serializers.Serializer):
    """What a model thinks of the inputs."""

    id = serializers.CharField()
    model = serializers.CharField()
    results = serializers.ListField(child=serializers.DictField())
