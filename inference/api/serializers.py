"""What the bodies of chats, completions, embeddings and moderations are."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.exceptions import ValidationError

from inference.api.conversation import LARGEST_SEED
from inference.api.fields import (
    AnyObject,
    FunctionName,
    FunctionToolSerializer,
    JsonObjectFormat,
    JsonSchemaFormat,
    ResponseFormatSerializer,
    TextFormat,
)
from inference.api.messages import MAXIMUM_MESSAGES, DataUrl, MessageField
from sovereign.core.api.leniency import pruned
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    Metadata,
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    refuse_type,
)

EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
TIERS = ["auto", "default", "flex", "scale", "priority"]
MAXIMUM_TOOLS = 128
MAXIMUM_CHOICES = 128
MAXIMUM_STOPS = 4
BIASES = 1_024
MAXIMUM_INPUTS = 2_048
LARGEST_TOKEN = 2**31 - 1
UNAVAILABLE = "Unsupported parameter: '{param}' is not supported by this server."


class Unsupported(StrictField):
    """A parameter of the original service that this one cannot serve: only ``null`` is taken."""

    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": []}  # beside null, which stands in every enum of what may be null

    def to_internal_value(self, data: Any) -> Any:
        raise refuse(UNAVAILABLE, "unsupported_parameter")


class Unused(AnyObject):
    """A parameter that only makes the original service faster or cheaper: it is checked, and changes nothing here."""

    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True)


class Modalities(StrictList):
    def __init__(self) -> None:
        super().__init__(child=StrictChoice(choices=["text"]), minimum=1, required=False, allow_null=True)


class Stop(StrictField):
    """A text that ends the answer, or up to four."""

    expected = "a string or an array"

    def schema(self) -> Union:
        texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAXIMUM_STOPS}
        return Union("Stop", ({"type": "string"}, texts))

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, str):
            return [StrictString().to_internal_value(data)]
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        texts: list[str] = StrictList(child=StrictString(), minimum=1, maximum=MAXIMUM_STOPS).to_internal_value(data)
        return texts


class LogitBias(StrictField):
    """Token ids, as texts, to numbers from -100 to 100."""

    expected = "an object"

    def schema(self) -> dict[str, Any]:
        values = {"type": "number", "minimum": -100, "maximum": 100}
        return {
            "type": "object",
            "propertyNames": {"pattern": "^[0-9]{1,10}$"},
            "additionalProperties": values,
            "maxProperties": BIASES,
        }

    def to_internal_value(self, data: Any) -> dict[str, float]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        if len(data) > BIASES:
            raise refuse(f"Invalid '{{param}}': at most {BIASES} tokens.", "object_above_max_properties")
        number = StrictNumber(minimum=-100, maximum=100)
        for key, value in data.items():
            if not (key.isascii() and key.isdigit() and len(key) <= 10):
                raise refuse("Invalid '{param}': its keys have to be ids of tokens.", "invalid_value")
            try:
                number.to_internal_value(value)
            except ValidationError as error:
                raise ValidationError({key: error.detail}) from None
        return data


class ChatFunction(StrictSerializer):
    """A function that the application offers, in the older form."""

    name = FunctionName()
    description = StrictString(required=False, allow_null=True)
    parameters = AnyObject(required=False, allow_null=True)


class ChatToolField(StrictField):
    """A function of the application; other kinds of tools are not taken."""

    expected = "an object"

    def schema(self) -> dict[str, Any] | Union:
        return FunctionToolSerializer  # type: ignore[return-value]

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and data.get("type") == "custom":
            raise refuse_at("type", "Invalid value: 'custom'. Supported values are: 'function'.", "unsupported_value")
        tool = FunctionToolSerializer.checked(data)
        return {"type": "function", "function": {k: v for k, v in tool["function"].items() if v is not None}}


class FunctionReference(StrictSerializer):
    name = FunctionName()


class NamedFunctionTool(StrictSerializer):
    """One function of the list."""

    type = StrictChoice(choices=["function"])
    function = FunctionReference()


class AllowedTools(StrictSerializer):
    mode = StrictChoice(choices=["auto", "required"])
    tools = StrictList(child=NamedFunctionTool(), minimum=1, maximum=MAXIMUM_TOOLS)


class AllowedToolsChoice(StrictSerializer):
    """Some of the tools."""

    type = StrictChoice(choices=["allowed_tools"])
    allowed_tools = AllowedTools()


class ChoiceField(StrictField):
    """A word, or one of some objects that are told apart by ``type``."""

    expected = "a string or an object"
    name: ClassVar[str]
    words: ClassVar[list[str]]
    shapes: ClassVar[dict[str, type[StrictSerializer]]]

    def schema(self) -> Union:
        return Union(self.name, ({"type": "string", "enum": self.words}, *self.shapes.values()))

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return StrictChoice(choices=self.words).to_internal_value(data)
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        if "type" not in data:
            raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        try:
            kind = StrictChoice(choices=list(self.shapes)).run_validation(data["type"])
        except ValidationError as error:
            raise ValidationError({"type": error.detail}) from None
        return self.shapes[kind].checked(data)


class ChatToolChoice(ChoiceField):
    name = "ChatToolChoice"
    words: ClassVar = ["none", "auto", "required"]
    shapes: ClassVar = {"function": NamedFunctionTool, "allowed_tools": AllowedToolsChoice}


class FunctionCallChoice(StrictField):
    """``"none"``, ``"auto"`` or the name of a function: the older form of ``tool_choice``."""

    expected = "a string or an object"

    def schema(self) -> Union:
        return Union("FunctionCallChoice", ({"type": "string", "enum": ["none", "auto"]}, FunctionReference))

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return StrictChoice(choices=["none", "auto"]).to_internal_value(data)
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        return FunctionReference.checked(data)


class ChatResponseFormat(StrictField):
    """An object, which is echoed as it was given."""

    expected = "an object"

    def schema(self) -> Union:
        return Union("ChatResponseFormat", (TextFormat, JsonObjectFormat, JsonSchemaFormat))

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        ResponseFormatSerializer.checked(data)
        return pruned(data)


class StreamOptions(StrictSerializer):
    include_usage = StrictBoolean(required=False, allow_null=True)
    include_obfuscation = StrictBoolean(required=False, allow_null=True)


def _number(minimum: float, maximum: float) -> StrictNumber:
    return StrictNumber(minimum=minimum, maximum=maximum, required=False, allow_null=True)


def _integer(minimum: int, maximum: int | None = None) -> StrictNumber:
    return StrictNumber(minimum=minimum, maximum=maximum, integer=True, required=False, allow_null=True)


def _text(length: int) -> StrictString:
    return StrictString(max_length=length, required=False, allow_null=True)


def _flag() -> StrictBoolean:
    return StrictBoolean(required=False, allow_null=True)


class Sampling(StrictSerializer):
    """What chats and completions have in common."""

    model = StrictString(min_length=1, max_length=256)
    frequency_penalty = _number(-2, 2)
    logit_bias = LogitBias(required=False, allow_null=True)
    max_tokens = _integer(1, LARGEST_TOKEN)
    n = _integer(1, MAXIMUM_CHOICES)
    presence_penalty = _number(-2, 2)
    seed = _integer(-LARGEST_SEED, LARGEST_SEED)
    stop = Stop(required=False, allow_null=True)
    stream = _flag()
    stream_options = StreamOptions(required=False, allow_null=True)
    temperature = _number(0, 2)
    top_p = _number(0, 1)
    user = _text(1_024)


class ChatRequestBody(Sampling):
    """A chat, and how it is to be answered."""

    messages = StrictList(child=MessageField(), minimum=1, maximum=MAXIMUM_MESSAGES)
    audio = Unsupported()
    function_call = FunctionCallChoice(required=False, allow_null=True)
    functions = StrictList(child=ChatFunction(), minimum=1, maximum=MAXIMUM_TOOLS, required=False, allow_null=True)
    logprobs = _flag()
    max_completion_tokens = _integer(1, LARGEST_TOKEN)
    metadata = Metadata()
    modalities = Modalities()
    moderation = Unsupported()
    parallel_tool_calls = _flag()
    prediction = Unused()
    prompt_cache_key = _text(1_024)
    prompt_cache_options = Unused()
    prompt_cache_retention = _text(64)
    reasoning_effort = StrictChoice(choices=EFFORTS, required=False, allow_null=True)
    response_format = ChatResponseFormat(required=False, allow_null=True)
    safety_identifier = _text(1_024)
    service_tier = StrictChoice(choices=TIERS, required=False, allow_null=True)
    store = _flag()
    tool_choice = ChatToolChoice(required=False, allow_null=True)
    tools = StrictList(child=ChatToolField(), maximum=MAXIMUM_TOOLS, required=False, allow_null=True)
    top_logprobs = _integer(0, 20)
    verbosity = StrictChoice(choices=["medium"], required=False, allow_null=True)
    web_search_options = Unsupported()


class StoredChatUpdate(StrictSerializer):
    """What of a stored answer can change."""

    metadata = Metadata(required=True)


TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_TOKEN}, "minItems": 1}


class Texts(StrictField):
    """A text, a list of texts, tokens, or lists of tokens; always given back as a list."""

    expected = "a string or an array"

    def __init__(self, name: str, *, shortest: int = 0, **options: Any) -> None:
        self.name, self.shortest = name, shortest
        super().__init__(**options)

    def schema(self) -> Union:
        many = {"type": "array", "minItems": 1, "maxItems": MAXIMUM_INPUTS}
        text = StrictString(min_length=self.shortest).schema()
        return Union(self.name, (text, {**many, "items": text}, TOKENS, {**many, "items": TOKENS}))

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str):
            return [StrictString(min_length=self.shortest).to_internal_value(data)]
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        if data and isinstance(data[0], int) and not isinstance(data[0], bool):
            return [_tokens(data)]
        child = _Tokens() if data and isinstance(data[0], list) else StrictString(min_length=self.shortest)
        checked: list[Any] = StrictList(child=child, minimum=1, maximum=MAXIMUM_INPUTS).to_internal_value(data)
        return checked


class _Tokens(StrictField):
    def to_internal_value(self, data: Any) -> list[int]:
        return _tokens(data)


def _tokens(data: list[Any]) -> list[int]:
    """:raises rest_framework.exceptions.ValidationError: no token, or one that is no whole number."""
    child = StrictNumber(minimum=0, maximum=LARGEST_TOKEN, integer=True)
    checked: list[int] = StrictList(child=child, minimum=1).to_internal_value(data)
    return checked


class CompletionRequestBody(Sampling):
    """Texts to be continued."""

    prompt = Texts("Prompt")
    best_of = _integer(0, 20)
    echo = _flag()
    logprobs = _integer(0, 5)
    max_tokens = _integer(0, LARGEST_TOKEN)
    suffix = _text(256_000)


class Dimensions(StrictNumber):
    """In the words of the original service, which are not those of its other numbers."""

    def __init__(self) -> None:
        super().__init__(minimum=1, maximum=65_536, integer=True, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> float | int:
        if isinstance(data, int) and not isinstance(data, bool) and data < 1:
            raise refuse(f"{data} is less than the minimum of 1 - '{{param}}'", "integer_below_min_value")
        return super().to_internal_value(data)


class EmbeddingRequestBody(StrictSerializer):
    """Texts to be made vectors of."""

    model = StrictString(min_length=1, max_length=256)
    input = Texts("EmbeddingInput", shortest=1)
    dimensions = Dimensions()
    encoding_format = StrictChoice(choices=["float", "base64"], required=False, allow_null=True)
    user = _text(1_024)


class ModerationTextPart(StrictSerializer):
    """A text."""

    type = StrictChoice(choices=["text"])
    text = StrictString()


class ModerationImage(StrictSerializer):
    url = DataUrl()


class ModerationImagePart(StrictSerializer):
    """A picture."""

    type = StrictChoice(choices=["image_url"])
    image_url = ModerationImage()


MODERATION_PARTS: dict[str, type[StrictSerializer]] = {"text": ModerationTextPart, "image_url": ModerationImagePart}


class ModerationInput(StrictField):
    """A text, a list of texts, or a list of parts; always given back as a list."""

    expected = "a string or an array"

    def schema(self) -> Union:
        many = {"type": "array", "minItems": 1, "maxItems": MAXIMUM_INPUTS}
        part = Union("ModerationPart", tuple(MODERATION_PARTS.values()))
        texts = {**many, "items": {"type": "string"}}
        return Union("ModerationInput", ({"type": "string"}, texts, {**many, "items": part}))

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str):
            return [StrictString().to_internal_value(data)]
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        child = _ModerationPart() if data and isinstance(data[0], dict) else StrictString()
        checked: list[Any] = StrictList(child=child, minimum=1, maximum=MAXIMUM_INPUTS).to_internal_value(data)
        return checked


class _ModerationPart(ChoiceField):
    name = "ModerationPart"
    words: ClassVar[list[str]] = []
    shapes = MODERATION_PARTS

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        return super().to_internal_value(data)


class ModerationRequestBody(StrictSerializer):
    """What is to be judged."""

    input = ModerationInput()
    model = StrictString(min_length=1, max_length=256, required=False, allow_null=True)
