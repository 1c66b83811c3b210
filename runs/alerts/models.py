"""Rules on metrics, the alerts that they gave, and what has to be sent about them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from runs.alerts.querysets import AlertQuerySet, AlertRuleQuerySet, NotificationQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

NAME_LENGTH = 128
NOTE_LENGTH = 500
SENTENCE_LENGTH = 500
URL_LENGTH = 2_000
SECRET_LENGTH = 8_192  # characters, sealed


class AlertRule(models.Model):
    """When people want to be told: a metric over the last minutes, above or below a threshold.

    One that was deleted stays for a while: those who were told that something began are told that it is over.
    """

    audited_as = "alert_rule"

    class Direction(models.TextChoices):
        ABOVE = "above", "Above"
        BELOW = "below", "Below"

    class Severity(models.TextChoices):
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    id = id_field("rule_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=NAME_LENGTH)
    assistant_id = reference(help_text="Of this assistant; empty: of all of the project together.")
    environment = reference(help_text="Of what is deployed there; empty: of all but trials.")
    metric = models.CharField(max_length=64, help_text="One of runs.analytics.metrics, or health.")
    direction = models.CharField(max_length=8, choices=Direction.choices, default=Direction.ABOVE)
    threshold = models.FloatField(help_text="An alert begins beyond it.")
    clear_threshold = models.FloatField(
        null=True, blank=True, help_text="And ends once it is back beyond this one; empty: the same."
    )
    window_minutes = models.PositiveIntegerField(default=60)
    minimum_runs = models.PositiveIntegerField(default=1, help_text="In the window; of fewer nothing is said.")
    severity = models.CharField(max_length=16, choices=Severity.choices, default=Severity.WARNING)
    is_enabled = models.BooleanField(default=True)
    emails = OrderedJSONField(default=list, blank=True, help_text="Addresses that are written to.")
    webhook_url = models.CharField(max_length=URL_LENGTH, blank=True, default="")
    webhook_secret = models.CharField(max_length=SECRET_LENGTH, blank=True, default="", help_text="Sealed.")
    webhook_gone_at = models.DateTimeField(
        null=True, blank=True, help_text="When the receiver said that it wants nothing more."
    )
    looked_at = models.DateTimeField(null=True, blank=True, help_text="When it was last compared.")
    last_value = models.FloatField(null=True, blank=True, help_text="What it was then.")
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = AlertRuleQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="alert_rule_list"),
            models.Index(
                fields=("looked_at",), condition=Q(is_enabled=True, deleted_at=None), name="alert_rule_watched"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(direction__in=["above", "below"]), name="alert_rule_direction"),
            models.CheckConstraint(condition=Q(severity__in=["warning", "critical"]), name="alert_rule_severity"),
        ]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """From the moment at which a rule's threshold was passed until it was over.

    It keeps whom and what it was about: a rule may be changed afterwards.
    """

    audited_as = "alert"

    class State(models.TextChoices):
        FIRING = "firing", "Firing"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Resolved"

    id = id_field("alert_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    assistant_id = reference()
    metric = models.CharField(max_length=64)
    severity = models.CharField(max_length=16, choices=AlertRule.Severity.choices)
    state = models.CharField(max_length=16, choices=State.choices, default=State.FIRING)
    value = models.FloatField(help_text="What the metric was when it began.")
    worst = models.FloatField(help_text="The furthest that it was beyond the threshold since.")
    sentence = models.CharField(max_length=SENTENCE_LENGTH, help_text="What happened, for people.")
    seen_at = models.DateTimeField(help_text="When the metric was last known.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_user = models.BigIntegerField(null=True, blank=True)
    acknowledged_by_key = reference()
    note = models.CharField(max_length=NOTE_LENGTH, blank=True, default="", help_text="Of who acknowledged it.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=SENTENCE_LENGTH, blank=True, default="", help_text="Why it is over.")
    created_at = CreatedAtField()

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=("project", "created_at", "id"), name="alert_list")]
        constraints = [
            models.UniqueConstraint(fields=("rule",), condition=Q(resolved_at=None), name="alert_one_open"),
            models.CheckConstraint(condition=Q(state__in=["firing", "acknowledged", "resolved"]), name="alert_state"),
        ]

    def __str__(self) -> str:
        return self.sentence


class Notification(models.Model):
    """Something that has to be sent, with what became of it: written with the alert's change, sent later."""

    class Event(models.TextChoices):
        FIRING = "alert.firing", "It began"
        ACKNOWLEDGED = "alert.acknowledged", "It was acknowledged"
        RESOLVED = "alert.resolved", "It is over"
        TEST = "alert.test", "A test"

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        GIVEN_UP = "given_up", "Given up"

    id = id_field("notice_")
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="notifications")
    alert = models.ForeignKey(
        Alert, on_delete=models.CASCADE, null=True, related_name="notifications", help_text="Empty: a test."
    )
    event = models.CharField(max_length=32, choices=Event.choices)
    channel = models.CharField(max_length=16, choices=Channel.choices)
    target = models.CharField(max_length=URL_LENGTH, help_text="An address: of e-mail, or of a server.")
    body = OrderedJSONField(help_text="What is said, as it was then.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(help_text="While it is being sent: when another may try, should that end.")
    last_error = models.CharField(max_length=500, blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = CreatedAtField()

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("next_attempt_at",), condition=Q(status="waiting"), name="notification_due"),
            models.Index(fields=("rule", "created_at", "id"), name="notification_list"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(channel__in=["email", "webhook"]), name="notification_channel"),
            models.CheckConstraint(condition=Q(status__in=["waiting", "sent", "given_up"]), name="notification_status"),
        ]

    def __str__(self) -> str:
        return f"{self.event} by {self.get_channel_display().lower()}"
