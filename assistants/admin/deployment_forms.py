"""The forms of what is done to deployments: what an analyst fills in, as the services want it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.functional import lazy
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from assistants.deployments import canaries, scaling
from assistants.models.versions import NOTES_LENGTH
from sovereign.core import times
from sovereign.core.errors import ApiError

REASON_LENGTH = 400  # the rest of the column is for what is said beside it
OFFERED = 200  # versions to choose from
PER_CENT = 100
#: where the services' words about a parameter are shown
SHOWN_AT = {f"thresholds.{name}": name for name in canaries.DEFAULTS}


class ActForm(forms.Form):
    """What is asked before something is done; of most things nothing but a confirmation."""

    special: tuple[str, ...] = ()  # fields that few people need: they are folded away

    def refuse(self, error: ApiError) -> None:
        """Say what a service refused at the field that it is about, or above all of them."""
        name = SHOWN_AT.get(error.param or "", error.param or "")
        is_shown = name in self.fields and not self.fields[name].widget.is_hidden
        self.add_error(name if is_shown else None, error.message)

    def plain_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in self.special]

    def special_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name in self.special]


class ReasonForm(ActForm):
    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        label="Why",
        help_text="Stands in the history.",
    )


class ExpectingForm(ActForm):
    """Sent with what was in service when the page was read: who comes second is told so."""

    expected = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def expectation(self) -> dict[str, Any]:
        return {"expected_deployment": self.cleaned_data["expected"] or None}


class RollBackForm(ReasonForm, ExpectingForm):
    pass


def _share(**options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        min_value=canaries.LEAST_PERCENT,
        max_value=canaries.MOST_PERCENT,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"inputmode": "decimal"}),
        **options,
    )


def _number(kind: type[forms.IntegerField], name: str, label: str, words: str) -> forms.IntegerField:
    """A threshold; shares are asked for in per cent."""
    least, most = canaries.LIMITS[name]
    usual, scale = canaries.DEFAULTS[name], PER_CENT if name.endswith("_rate") else 1
    return kind(
        required=False,
        min_value=int(least * scale),
        max_value=int(most * scale),
        label=label,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"placeholder": f"{(usual or 0) * scale:g}"}),
        help_text=f"{words} Empty: {(usual or 0) * scale:g}.",
    )


class WishForm(ExpectingForm):
    """How a version is to come into service."""

    special = tuple(canaries.DEFAULTS)

    percent = _share(
        required=False,
        label="Canary: per cent of the threads",
        help_text="Beside what is in service; threads stay with what they had. Empty: all threads.",
    )
    scheduled_at = forms.DateTimeField(
        required=False,
        label="Not before",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text=lazy(lambda: f"Your time, {times.zone_name()}. Empty: now.", str)(),
    )
    notes = forms.CharField(
        required=False,
        max_length=NOTES_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why, for the history.",
    )
    error_rate = _number(forms.DecimalField, "error_rate", "Failed runs, per cent", "It is taken back above this.")
    latency_ratio = _number(
        forms.DecimalField, "latency_ratio", "Time of answers, times the other's", "At the 95th percentile."
    )
    thumbs_down_rate = _number(
        forms.DecimalField, "thumbs_down_rate", "Thumbs down, per cent", "Of the answers that people rated."
    )
    minimum_runs = _number(forms.IntegerField, "minimum_runs", "Runs before it is judged", "Of the canary, ended.")

    def wish(self) -> dict[str, Any]:
        """What ``deployments.deploy`` and ``promote`` want."""
        data = self.cleaned_data
        known: dict[str, Any] = {"notes": data["notes"].strip(), "thresholds": self._thresholds(), **self.expectation()}
        if data["percent"] is not None:
            known["percent"] = data["percent"]
        if data["scheduled_at"] is not None:
            known["scheduled_at"] = data["scheduled_at"]
        return known

    def _thresholds(self) -> dict[str, float | int]:
        given = {name: self.cleaned_data[name] for name in canaries.DEFAULTS if self.cleaned_data[name] is not None}
        return {name: _as_threshold(name, value) for name, value in given.items()}


class DeployForm(WishForm):
    version = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    field_order = ("version",)

    def __init__(self, *args: Any, versions: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["version"]
        field.choices = versions


class ShareForm(ActForm):
    percent = _share(label="Per cent of the threads", help_text="Those that have it keep it when the share grows.")


class ScaleForm(ActForm):
    worker_slots = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=scaling.MOST_SLOTS,
        label="Runs at once",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as many as the house can do.",
    )
    priority = forms.IntegerField(
        min_value=-scaling.MOST_PRIORITY,
        max_value=scaling.MOST_PRIORITY,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Runs of a higher one are taken first; 0 is the usual one.",
    )
    tokens_per_day = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=scaling.MOST_TOKENS,
        label="Tokens a day",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="After which none of its runs is begun before the next day. Empty: no limit.",
    )


class PolicyForm(ActForm):
    four_eyes = forms.BooleanField(
        required=False,
        label="Somebody else than who asked has to approve",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Of all assistants of the project. What waits for an approval goes on waiting.",
    )


def _as_threshold(name: str, value: Decimal | int) -> float | int:
    if isinstance(value, int):
        return value
    return float(value / PER_CENT) if name.endswith("_rate") else float(value)
