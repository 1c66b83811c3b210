"""What the routes of alerts take."""

from __future__ import annotations

from typing import Any

from assistants.kinds import Environment
from runs.alerts.models import NAME_LENGTH, NOTE_LENGTH, URL_LENGTH, AlertRule
from runs.alerts.services.rules import LONGEST, SHORTEST, STEP
from runs.alerts.targets import EMAIL_LENGTH, MOST_EMAILS
from runs.alerts.watched import MOST, WATCHED
from sovereign.core.api.validation import (
    StrictBoolean,
    StrictChoice,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
)

ID_LENGTH = 64
MOST_RUNS = 1_000_000


class Minutes(StrictNumber):
    """The length of a window."""

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=SHORTEST, maximum=LONGEST, integer=True, **options)

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "multipleOf": STEP}


class AlertRuleRequest(StrictSerializer):
    """When somebody wants to be told."""

    name = StrictString(max_length=NAME_LENGTH, min_length=1, help_text="For people.")
    assistant_id = StrictString(
        max_length=ID_LENGTH,
        min_length=1,
        required=False,
        allow_null=True,
        help_text="Of this assistant; without one of all of the project together.",
    )
    environment = StrictChoice(
        choices=Environment.values,
        required=False,
        allow_null=True,
        help_text="Of what is deployed there; without one of everything but trials.",
    )
    metric = StrictChoice(choices=list(WATCHED), help_text="What is watched.")
    direction = StrictChoice(
        choices=AlertRule.Direction.values, help_text="On which side of the threshold an alert begins."
    )
    threshold = StrictNumber(minimum=0, maximum=MOST, help_text="Beyond it an alert begins. A share is 0 to 1.")
    clear_threshold = StrictNumber(
        minimum=0,
        maximum=MOST,
        required=False,
        allow_null=True,
        help_text="Where it ends, so that it does not come and go; by default where it began.",
    )
    window_minutes = Minutes(required=False, help_text="Over how many of the last minutes; by default 60.")
    minimum_runs = StrictNumber(
        minimum=0,
        maximum=MOST_RUNS,
        integer=True,
        required=False,
        help_text="Of fewer in the window nothing is said; by default 1, and 0 where no run is a number, too.",
    )
    severity = StrictChoice(
        choices=AlertRule.Severity.values, required=False, help_text="How bad it is; by default `warning`."
    )
    enabled = StrictBoolean(required=False, source="is_enabled", help_text="Whether it is watched.")
    emails = StrictList(
        child=StrictString(max_length=EMAIL_LENGTH),
        maximum=MOST_EMAILS,
        required=False,
        help_text="Addresses that are written to.",
    )
    webhook_url = StrictString(
        max_length=URL_LENGTH,
        required=False,
        allow_null=True,
        help_text="An https address that alerts are posted to. A new one has a new secret, which is told this once.",
    )


class AlertRuleChange(AlertRuleRequest):
    """What changes of a rule."""

    new_webhook_secret = StrictBoolean(
        required=False, help_text="Make a new secret for the webhook; the one before is worth nothing from then on."
    )


class AcknowledgeRequest(StrictSerializer):
    """That somebody sees to it."""

    note = StrictString(max_length=NOTE_LENGTH, required=False, help_text="What is known, or done.")
