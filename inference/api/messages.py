"""The messages of a chat, as a client sends them."""

from __future__ import annotations

import binascii
import re
from typing import Any

from rest_framework.exceptions import ValidationError

from inference.api.fields import FunctionName
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    StrictChoice,
    StrictField,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    refuse_type,
    supported,
)

MAXIMUM_MESSAGES = 2_048
MAXIMUM_PARTS = 1_000
MAXIMUM_CALLS = 128
PICTURE = re.compile(r"data:image/(png|jpeg|jpg|webp|gif);base64,", re.IGNORECASE)
ROLES = ["developer", "system", "user", "assistant", "tool", "function"]


class ChatTextPart(StrictSerializer):
    """A text."""

    type = StrictChoice(choices=["text"])
    text = StrictString()


class DataUrl(StrictString):
    """A picture inside the request: ``data:image/png;base64,…``. No address is fetched."""

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^data:image/"}

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        head = PICTURE.match(url)
        if head is None:
            raise refuse(
                "Invalid '{param}': this server fetches no addresses. Send the image itself, as a data URL "
                "('data:image/png;base64,…') of a png, jpeg, webp or gif.",
                "invalid_image_url",
            )
        try:
            binascii.a2b_base64(url[head.end() :].encode(), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            raise refuse("Invalid '{param}': the image's base64 cannot be decoded.", "invalid_base64") from None
        return url


class ChatImage(StrictSerializer):
    url = DataUrl()
    detail = StrictChoice(choices=["auto", "low", "high"], required=False, allow_null=True)


class ChatImagePart(StrictSerializer):
    """A picture."""

    type = StrictChoice(choices=["image_url"])
    image_url = ChatImage()


class ChatRefusalPart(StrictSerializer):
    """A refusal, as the assistant gave it."""

    type = StrictChoice(choices=["refusal"])
    refusal = StrictString()


PARTS: dict[str, type[StrictSerializer]] = {
    "text": ChatTextPart,
    "image_url": ChatImagePart,
    "refusal": ChatRefusalPart,
}
UNSUPPORTED_PARTS = {"input_audio": "Audio", "file": "Files"}


class ChatContent(StrictField):
    """A text, or parts of the given kinds."""

    expected = "a string or an array"

    def __init__(self, *kinds: str, **options: Any) -> None:
        self.kinds = kinds
        super().__init__(**options)

    def schema(self) -> Union:
        name = f"Chat{''.join(kind.title().replace('_', '') for kind in self.kinds)}Content"
        shapes = tuple(PARTS[kind] for kind in self.kinds)
        parts: Any = shapes[0] if len(shapes) == 1 else Union(f"{name}Part", shapes)
        return Union(
            name,
            ({"type": "string"}, {"type": "array", "items": parts, "minItems": 1, "maxItems": MAXIMUM_PARTS}),
        )

    def to_internal_value(self, data: Any) -> str | list[dict[str, Any]]:
        if isinstance(data, str):
            return StrictString().to_internal_value(data)
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        parts: list[dict[str, Any]] = StrictList(
            child=_Part(self.kinds), minimum=1, maximum=MAXIMUM_PARTS
        ).to_internal_value(data)
        return parts


class _Part(StrictField):
    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.kinds = kinds
        super().__init__()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        if "type" not in data:
            raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        kind = data["type"]
        if "image_url" in self.kinds and isinstance(kind, str) and kind in UNSUPPORTED_PARTS:
            raise refuse_at(
                "type", f"Invalid value: '{kind}'. {UNSUPPORTED_PARTS[kind]} are not taken here.", "unsupported_value"
            )
        try:
            kind = StrictChoice(choices=list(self.kinds)).run_validation(kind)
        except ValidationError as error:
            raise ValidationError({"type": error.detail}) from None
        return PARTS[kind].checked(data)


class Whatever(StrictField):
    """Something that SDKs have in their answers and send back; it is not looked at."""

    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        return data


class FunctionCallText(StrictSerializer):
    name = StrictString(max_length=256)
    arguments = StrictString()
    parsed_arguments = Whatever()


class ChatToolCall(StrictSerializer):
    """A call that the model made."""

    id = StrictString(min_length=1, max_length=256)
    type = StrictChoice(choices=["function"])
    function = FunctionCallText()
    index = Whatever()


class SystemMessage(StrictSerializer):
    role = StrictChoice(choices=["system"])
    content = ChatContent("text")
    name = StrictString(max_length=64, required=False, allow_null=True)


class DeveloperMessage(StrictSerializer):
    """The same as a system message."""

    role = StrictChoice(choices=["developer"])
    content = ChatContent("text")
    name = StrictString(max_length=64, required=False, allow_null=True)


class UserMessage(StrictSerializer):
    role = StrictChoice(choices=["user"])
    content = ChatContent("text", "image_url")
    name = StrictString(max_length=64, required=False, allow_null=True)


class AssistantMessage(StrictSerializer):
    """An earlier answer, as it was given."""

    role = StrictChoice(choices=["assistant"])
    content = ChatContent("text", "refusal", required=False, allow_null=True)
    refusal = StrictString(required=False, allow_null=True)
    name = StrictString(max_length=64, required=False, allow_null=True)
    tool_calls = StrictList(child=ChatToolCall(), maximum=MAXIMUM_CALLS, required=False, allow_null=True)
    function_call = FunctionCallText(required=False, allow_null=True)
    annotations = Whatever()
    reasoning_content = Whatever()
    parsed = Whatever()
    audio = Whatever()

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if attributes.get("audio"):
            raise refuse_at("audio", "Invalid '{param}': audio is not taken here.", "unsupported_value")
        says = ("content", "refusal", "tool_calls", "function_call")
        if all(attributes.get(name) is None for name in says):
            raise refuse_at("content", "Invalid value for '{param}': expected a string, got null.", "invalid_value")
        return attributes


class ToolMessage(StrictSerializer):
    """What a tool gave back."""

    role = StrictChoice(choices=["tool"])
    content = ChatContent("text")
    tool_call_id = StrictString(min_length=1, max_length=256)
    name = StrictString(max_length=256, required=False, allow_null=True)


class FunctionMessage(StrictSerializer):
    """What a function gave back: the older form of a tool's message."""

    role = StrictChoice(choices=["function"])
    content = StrictString(allow_null=True)
    name = FunctionName()


MESSAGES: dict[str, type[StrictSerializer]] = {
    "developer": DeveloperMessage,
    "system": SystemMessage,
    "user": UserMessage,
    "assistant": AssistantMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
}
MESSAGE = Union("ChatMessage", tuple(MESSAGES.values()), tag="role")


class MessageField(StrictField):
    """One message, checked by its role."""

    expected = "an object"

    def schema(self) -> Union:
        return MESSAGE

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        role = data.get("role")
        if role is None:
            raise refuse_at("role", "Missing required parameter: '{param}'.", "missing_required_parameter")
        if not isinstance(role, str) or role not in MESSAGES:
            shown = str(role)[:64].replace("{", "").replace("}", "")
            raise refuse_at(
                "role", f"Invalid value: '{shown}'. Supported values are: {supported(ROLES)}.", "invalid_value"
            )
        return MESSAGES[role].checked(data)
