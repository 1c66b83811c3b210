"""What the routes of conversations take."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from runs.api.serializers import MINIMUM_BUDGET
from runs.conversations.models import COMMENT_LENGTH, REASON_LENGTH, Compression, Conversation
from runs.conversations.variables import MOST, NAME_LENGTH
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
    refuse_type,
)
from threads.api.serializers import MAXIMUM_MESSAGES_AT_ONCE, MessageRequest
from threads.models import TITLE_LENGTH

ID_LENGTH = 64
LARGEST_WINDOW = 100_000_000  # tokens, more than any model takes
LARGEST_NUMBER = 2**53  # up to which every program agrees on what a number is
MOST_ITEMS = 1_000  # of a list
COMPRESSION = "What becomes of messages that there is no room for: summed up by the model, or left out."
WINDOW = "How many tokens of a prompt the conversation may take at most; `null`: as many as the model has room for."


class Variables(StrictField):
    """Values by name: texts, numbers, booleans, lists of texts; ``null`` is none."""

    expected = "an object"

    def schema(self) -> dict[str, Any]:
        number = {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
        texts = {"type": "array", "items": {"type": "string"}, "maxItems": MOST_ITEMS}
        return {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": NAME_LENGTH},
            "additionalProperties": {"anyOf": [{"type": "string"}, number, {"type": ["boolean", "null"]}, texts]},
            "maxProperties": MOST,
        }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        if len(data) > MOST:
            raise refuse(
                f"Invalid '{{param}}': too many properties. Expected an object with at most {MOST} properties, but got "
                f"an object with {len(data)} properties instead.",
                "object_above_max_properties",
            )
        return {_name(name): _at(name, value) for name, value in data.items()}


def _name(name: str) -> str:
    return StrictString(min_length=1, max_length=NAME_LENGTH).to_internal_value(name)


def _at(name: str, value: Any) -> Any:
    try:
        return _value(value)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from None


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        StrictNumber(minimum=-LARGEST_NUMBER, maximum=LARGEST_NUMBER).to_internal_value(value)
        return value
    if isinstance(value, str):
        return StrictString().to_internal_value(value)
    if isinstance(value, list):
        return StrictList(child=StrictString(), maximum=MOST_ITEMS).run_validation(value)
    raise refuse_type("one of a string, number, boolean, or array of strings", value)


class ContextFields(StrictSerializer):
    compression = StrictChoice(choices=Compression.values, required=False, help_text=COMPRESSION)
    window_tokens = StrictNumber(
        minimum=MINIMUM_BUDGET,
        maximum=LARGEST_WINDOW,
        integer=True,
        required=False,
        allow_null=True,
        help_text=WINDOW,
    )


class StartConversationRequest(StrictSerializer):
    assistant_id = StrictString(min_length=1, max_length=ID_LENGTH, help_text="Who is talked to.")
    variables = Variables(required=False, allow_null=True, help_text="What the assistant's prompts are filled with.")
    metadata = Metadata()
    title = StrictString(
        max_length=TITLE_LENGTH,
        required=False,
        allow_null=True,
        help_text="For people; without one, the beginning of the first message.",
    )
    context = ContextFields(  # type: ignore[assignment]  # the request's, not the serializer's own
        required=False, allow_null=True, help_text="How much of it the model is shown."
    )
    messages = StrictList(
        child=MessageRequest(),
        maximum=MAXIMUM_MESSAGES_AT_ONCE,
        required=False,
        allow_null=True,
        help_text="What was said before. Nobody answers these.",
    )


class SayRequest(MessageRequest):
    """What a user says."""

    role = None  # type: ignore[assignment]  # it is always the user's
    stream = StrictBoolean(required=False, allow_null=True, help_text="Answer as a stream of the run's events.")


class ContextRequest(ContextFields):
    """What later answers are made with; what is not sent stays."""

    variables = Variables(
        required=False, allow_null=True, help_text="Put over those that are there; `null` takes one away."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in attrs.items() if name != "variables" or value}
        if not given:
            expected = "Expected at least one of 'variables', 'compression' and 'window_tokens'."
            raise refuse(expected, "missing_required_parameter")
        return given


class EndRequest(StrictSerializer):
    """Why it ends."""

    reason = StrictString(max_length=REASON_LENGTH, required=False, allow_null=True, help_text="For people.")


class SatisfactionRequest(StrictSerializer):
    """How good it was. What is not sent stays, `null` takes it back."""

    thumb = StrictChoice(
        choices=Conversation.Thumb.values, required=False, allow_null=True, help_text="Whether it was good."
    )
    score = StrictNumber(
        minimum=1, maximum=5, integer=True, required=False, allow_null=True, help_text="1 (bad) to 5 (good)."
    )
    comment = StrictString(max_length=COMMENT_LENGTH, required=False, allow_null=True, help_text="In one's own words.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise refuse("Expected at least one of 'thumb', 'score' and 'comment'.", "missing_required_parameter")
        return attrs
