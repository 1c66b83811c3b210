"""What the routes of conversations answer, for the documentation."""

from __future__ import annotations

from rest_framework import serializers

from runs.conversations.api.serializers import COMPRESSION, WINDOW, Variables
from runs.conversations.models import Compression, Conversation
from runs.conversations.rendering import ACTIVE, ENDED
from sovereign.core.api.schema import UnixTime, list_of
from sovereign.core.api.validation import Metadata


class ConversationTokens(serializers.Serializer):
    """What its runs have used so far."""

    prompt = serializers.IntegerField(help_text="Tokens that the model read, again and again.")
    completion = serializers.IntegerField(help_text="Tokens that the model wrote.")
    total = serializers.IntegerField(help_text="Both.")


class SatisfactionObject(serializers.Serializer):
    """How good somebody found it."""

    thumb = serializers.ChoiceField(
        choices=Conversation.Thumb.values, allow_null=True, help_text="Whether it was good."
    )
    score = serializers.IntegerField(allow_null=True, min_value=1, max_value=5, help_text="1 (bad) to 5 (good).")
    comment = serializers.CharField(allow_null=True, help_text="In their own words.")
    rated_at = UnixTime(help_text="When it was last said.")


class ConversationContext(serializers.Serializer):
    """How the model is shown a long conversation. The thread keeps all of it."""

    compression = serializers.ChoiceField(choices=Compression.values, help_text=COMPRESSION)
    window_tokens = serializers.IntegerField(allow_null=True, help_text=WINDOW)


class ConversationView(ConversationContext):
    """How the model is shown a long conversation, and what it sees of this one now."""

    messages = serializers.IntegerField(help_text="How many messages the thread has.")
    opening = serializers.CharField(
        allow_null=True, help_text="The thread's first message, where it is seen although what follows it is not."
    )
    shown_from = serializers.CharField(
        allow_null=True, help_text="The oldest of the messages that are seen word for word, up to the newest."
    )
    cut = serializers.ChoiceField(
        choices=Compression.values, allow_null=True, help_text="What stands for the others; `null`: all are seen."
    )
    summarised_messages = serializers.IntegerField(help_text="How many are seen as a summary.")
    left_out_messages = serializers.IntegerField(help_text="How many are not seen at all.")
    tokens_estimated = serializers.IntegerField(help_text="About how many tokens all that is seen takes.")


class ListedConversationObject(serializers.Serializer):
    """An assistant that is talked to."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["conversation"])
    created_at = UnixTime()
    last_activity_at = UnixTime(help_text="When somebody last said or changed something.")
    ended_at = UnixTime(allow_null=True, help_text="When it was ended.")
    end_reason = serializers.CharField(allow_null=True, help_text="Why it was ended.")
    status = serializers.ChoiceField(choices=[ACTIVE, ENDED], help_text="Whether more may be said.")
    thread_id = serializers.CharField(help_text="The thread with its messages and runs.")
    assistant_id = serializers.CharField(help_text="Who is talked to.")
    title = serializers.CharField(allow_null=True, help_text="For people.")
    metadata = Metadata(required=True, allow_null=False)
    variables = Variables(help_text="What the assistant's prompts are filled with.")
    tokens = ConversationTokens(help_text="What its runs have used so far.")
    satisfaction = SatisfactionObject(allow_null=True, help_text="How good somebody found it.")
    context = ConversationContext(  # type: ignore[assignment]  # the conversation's, not the serializer's own
        help_text="How much of it the model is shown."
    )


class ConversationObject(ListedConversationObject):
    """An assistant that is talked to."""

    context = ConversationView(help_text="How much of it the model is shown.")


ConversationList = list_of(ListedConversationObject)


class ConversationSummaryObject(serializers.Serializer):
    """What came of a conversation so far."""

    id = serializers.CharField(help_text="The conversation's.")
    object = serializers.ChoiceField(choices=["conversation.summary"])
    created_at = UnixTime()
    status = serializers.ChoiceField(choices=[ACTIVE, ENDED], help_text="Whether more may be said.")
    messages = serializers.IntegerField(help_text="How many were written, by both.")
    runs = serializers.IntegerField(help_text="How many answers were begun.")
    tokens = ConversationTokens(help_text="What these used.")
    duration = serializers.IntegerField(help_text="Seconds from its start to its end, or until now.")
    variables = Variables(help_text="What the assistant's prompts are filled with.")
    satisfaction = SatisfactionObject(allow_null=True, help_text="How good somebody found it.")
    context = ConversationView(help_text="What the model sees of it.")  # type: ignore[assignment]
    text = serializers.CharField(allow_null=True, help_text="The newest summary of its earlier messages.")
    text_created_at = UnixTime(allow_null=True, help_text="When that was written.")
    summary_error = serializers.CharField(
        allow_null=True, help_text="Why the last summary could not be made, and what the model sees instead."
    )
