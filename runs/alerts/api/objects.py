"""What the routes of alerts answer, for the documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.watched import WATCHED
from sovereign.core.api.schema import UnixTime, deleted, list_of


def told(field: type[serializers.Field], words: str, **options: Any) -> Any:
    """A field with what it means."""
    return field(help_text=words, **options)


class AlertRuleObject(serializers.Serializer):
    """When somebody wants to be told."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["alert.rule"])
    created_at = UnixTime()
    updated_at = told(UnixTime, "When it was last changed.")
    name = serializers.CharField()
    assistant_id = told(serializers.CharField, "Of this assistant; null for all together.", allow_null=True)
    environment = told(serializers.CharField, "Of what is deployed there; null for all.", allow_null=True)
    metric = told(serializers.ChoiceField, "What is watched.", choices=list(WATCHED))
    direction = told(
        serializers.ChoiceField, "On which side of the threshold an alert begins.", choices=AlertRule.Direction.values
    )
    threshold = told(serializers.FloatField, "Beyond it an alert begins.")
    clear_threshold = told(serializers.FloatField, "Where it ends; null: where it began.", allow_null=True)
    window_minutes = told(serializers.IntegerField, "Over how many of the last minutes.")
    minimum_runs = told(serializers.IntegerField, "Of fewer in the window nothing is said.")
    severity = told(serializers.ChoiceField, "How bad it is.", choices=AlertRule.Severity.values)
    enabled = told(serializers.BooleanField, "Whether it is watched.")
    emails = told(serializers.ListField, "Addresses that are written to.", child=serializers.CharField())
    webhook_url = told(
        serializers.CharField,
        "The address that alerts are posted to; without its path for who may not change rules.",
        allow_null=True,
    )
    webhook_secret = told(
        serializers.CharField,
        "What the webhook's signatures are checked with: told once, when it was made.",
        allow_null=True,
    )
    looked_at = told(UnixTime, "When the metric was last compared.", allow_null=True)
    last_value = told(serializers.FloatField, "What it was then, where it was known.", allow_null=True)
    problems = told(
        serializers.ListField, "What keeps people from being told, in sentences.", child=serializers.CharField()
    )


AlertRuleList = list_of(AlertRuleObject)
DeletedAlertRule = deleted("alert.rule")


class AlertObject(serializers.Serializer):
    """From the moment at which a threshold was passed until it was over."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["alert"])
    created_at = UnixTime()
    rule_id = told(serializers.CharField, "The rule that it is of.")
    assistant_id = told(serializers.CharField, "The assistant that it is about; null for all.", allow_null=True)
    metric = told(serializers.ChoiceField, "What was watched.", choices=list(WATCHED))
    severity = told(serializers.ChoiceField, "How bad it is.", choices=AlertRule.Severity.values)
    state = told(serializers.ChoiceField, "How far it is.", choices=Alert.State.values)
    value = told(serializers.FloatField, "What the metric was when it began.")
    worst = told(serializers.FloatField, "The furthest that it was beyond the threshold.")
    sentence = told(serializers.CharField, "What happened.")
    acknowledged_at = told(UnixTime, "When somebody saw to it.", allow_null=True)
    acknowledged_by_user = told(serializers.IntegerField, "The person who did.", allow_null=True)
    acknowledged_by_key = told(serializers.CharField, "The API key that did.", allow_null=True)
    note = told(serializers.CharField, "What they said.")
    resolved_at = told(UnixTime, "When it was over.", allow_null=True)
    resolution = told(serializers.CharField, "Why it is over.", allow_null=True)


AlertList = list_of(AlertObject)


class NotificationObject(serializers.Serializer):
    """Something that has to be sent, and what became of it."""

    id = told(serializers.CharField, "Also the `webhook-id` of each attempt.")
    object = serializers.ChoiceField(choices=["alert.notification"])
    created_at = UnixTime()
    rule_id = told(serializers.CharField, "The rule that names whom it goes to.")
    alert_id = told(serializers.CharField, "The alert that it is about; null for a test.", allow_null=True)
    event = told(serializers.ChoiceField, "What it says.", choices=Notification.Event.values)
    channel = told(serializers.ChoiceField, "How it is sent.", choices=Notification.Channel.values)
    target = told(serializers.CharField, "Where to: an e-mail address, or the host of a webhook.")
    status = told(serializers.ChoiceField, "What became of it.", choices=Notification.Status.values)
    attempts = told(serializers.IntegerField, "How often it was tried.")
    next_attempt_at = told(UnixTime, "When it is tried again, while it waits.", allow_null=True)
    last_error = told(serializers.CharField, "Why the last attempt failed.", allow_null=True)
    sent_at = told(UnixTime, "When it was taken.", allow_null=True)


NotificationList = list_of(NotificationObject)
