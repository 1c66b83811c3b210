"""What is sent about deployments, and what is answered, for the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from assistants.deployments import canaries, scaling
from assistants.deployments.checks import Verdict
from assistants.deployments.decisions import DECISIONS
from assistants.kinds import Environment
from assistants.models import Deployment
from assistants.models.versions import NOTES_LENGTH
from sovereign.core.api.schema import UnixTime, list_of
from sovereign.core.api.validation import StrictBoolean, StrictChoice, StrictNumber, StrictSerializer, StrictString
from sovereign.core.api.versions import VersionField

ID_LENGTH = 64
REASON_LENGTH = 400  # the rest of the column is for what is said beside it
LATEST = 253_402_300_799  # the last second of the year 9999


class Instant(StrictNumber):
    """Seconds since 1970; it becomes a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=0, maximum=LATEST, integer=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        return datetime.fromtimestamp(super().to_internal_value(data), UTC)


def _environment(words: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=Environment.values, help_text=words)


def _threshold(name: str, words: str) -> StrictNumber:
    least, most = canaries.LIMITS[name]
    whole, told = name == "minimum_runs", f"{words} Without it {canaries.DEFAULTS[name]}."
    return StrictNumber(
        minimum=least, maximum=most, integer=whole, required=False, allow_null=not whole, help_text=told
    )


class Thresholds(StrictSerializer):
    """How much worse a canary may be; `null`: it is not looked at. What is left out has its default."""

    error_rate = _threshold("error_rate", "The share of its runs that may fail.")
    latency_ratio = _threshold(
        "latency_ratio", "How many times the other version's time its answers may take, at the 95th percentile."
    )
    thumbs_down_rate = _threshold("thumbs_down_rate", "The share of its rated answers that people may dislike.")
    minimum_runs = _threshold("minimum_runs", "How many of its runs have to have ended before anything is concluded.")


class EnvironmentField(StrictChoice):
    def __init__(self, words: str, **options: Any) -> None:
        super().__init__(choices=list(Environment.values), help_text=words, **options)


def _text(words: str, maximum: int, **options: Any) -> StrictString:
    return StrictString(max_length=maximum, required=False, help_text=words, **options)


def _version(words: str) -> VersionField:
    return VersionField(required=False, allow_null=True, help_text=words)


def _percent(words: str, **options: Any) -> StrictNumber:
    least, most = float(canaries.LEAST_PERCENT), float(canaries.MOST_PERCENT)
    return StrictNumber(minimum=least, maximum=most, required=False, help_text=words, **options)


def _limit(words: str, least: int, most: int) -> StrictNumber:
    return StrictNumber(minimum=least, maximum=most, integer=True, required=False, allow_null=True, help_text=words)


EXPECTED = (
    "The id of what you know to be in service in the environment that changes, null for nothing: where it is something "
    "else by now, nothing changes (409)."
)


class _Wish(StrictSerializer):
    percent = _percent("Of the threads, as a canary beside what is in service; null or left out: all.", allow_null=True)
    thresholds = Thresholds(required=False, allow_null=True, help_text="When the canary is taken back by itself.")
    notes = _text("Why, for the history.", NOTES_LENGTH)
    scheduled_at = Instant(required=False, allow_null=True, help_text="Not before; null or left out: now.")
    expected_deployment = _text(EXPECTED, ID_LENGTH, allow_null=True)


class DeployRequest(_Wish):
    """A version in an environment."""

    environment = EnvironmentField("Where it is to be in service.")
    version = _version("Its id or number; null or left out: the draft, which is published where it is no version yet.")


class PromoteRequest(_Wish):
    """What is in service in one environment is to be so in the next."""

    environment = EnvironmentField("Where it is in service; it is deployed to the next one.")


class RollBackRequest(StrictSerializer):
    """Where, and why."""

    environment = EnvironmentField("Where what came last is taken back.")
    reason = _text("Why, for the history.", REASON_LENGTH)
    expected_deployment = _text(EXPECTED, ID_LENGTH, allow_null=True)


class ValidateRequest(StrictSerializer):
    """A version, and where it would be deployed."""

    environment = EnvironmentField("Where it would be deployed.")
    version = _version("Its id or number; null or left out: the draft.")


class ScaleRequest(StrictSerializer):
    """What changes."""

    environment = EnvironmentField("Whose runs are meant.")
    worker_slots = _limit("How many of its runs may be worked on at once; null: any number.", 1, scaling.MOST_SLOTS)
    priority = _limit(
        "Runs of a higher one are taken first; 0 is that of all others.", -scaling.MOST_PRIORITY, scaling.MOST_PRIORITY
    )
    tokens_per_day = _limit("After how many of a day no more runs are begun; null: never.", 1, scaling.MOST_TOKENS)


class StatusRequest(StrictSerializer):
    """A decision about a deployment, or a canary's new share."""

    status = StrictChoice(choices=list(DECISIONS), required=False, help_text="What is decided.")
    percent = _percent("Of the threads, for a canary; those that have it keep it when it grows.")
    reason = _text("Why, for the history.", REASON_LENGTH)


class PolicyRequest(StrictSerializer):
    """What a deployment to the environment takes."""

    four_eyes = StrictBoolean(help_text="Whether somebody else than who asked has to approve it.")


class ActorObject(serializers.Serializer):
    """A person or an API key; one that was deleted has no name."""

    type = serializers.ChoiceField(choices=["user", "api_key"], help_text="Who it is.")
    id = serializers.CharField()
    name = serializers.CharField(allow_null=True, help_text="The person's or the key's name.")


class FindingObject(serializers.Serializer):
    """What a check found, and what to do about it."""

    name = serializers.CharField(help_text="The check's name, for programs.")
    title = serializers.CharField(help_text="What is checked, for people.")
    verdict = serializers.ChoiceField(choices=Verdict.values, help_text="`pending`: it is still being tried.")
    detail = serializers.CharField(allow_blank=True, help_text="What was found.")
    fix = serializers.CharField(allow_blank=True, help_text="What to do about it, where it failed.")


class VersionReference(serializers.Serializer):
    """A version of the assistant."""

    id = serializers.CharField()
    number = serializers.IntegerField(help_text="1, 2, 3 … of its assistant.")


class ValidatedVersion(serializers.Serializer):
    """A version of the assistant; the draft has no id before it is published."""

    id = serializers.CharField(allow_null=True, help_text="Null of the draft.")
    number = serializers.IntegerField(help_text="That it has, or would have.")


class DeploymentObject(serializers.Serializer):
    """A version in an environment, from the wish to the end."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.deployment"])
    created_at = UnixTime()
    assistant_id = serializers.CharField(help_text="The assistant whose version it is.")
    version = VersionReference(help_text="What is, was or is to be in service.")
    environment = _environment("Where.")
    status = serializers.ChoiceField(
        choices=Deployment.Status.values, help_text="How far it has come, or how it ended."
    )
    percent = serializers.FloatField(allow_null=True, help_text="Of the threads, where it is a canary.")
    thresholds = serializers.DictField(allow_null=True, help_text="When the canary is taken back by itself.")
    checks = FindingObject(many=True, help_text="What was checked before it came into service.")
    smoke_run_id = serializers.CharField(allow_null=True, help_text="The run in which it was asked a first question.")
    notes = serializers.CharField(allow_blank=True, help_text="Why it was asked for.")
    replaces = serializers.CharField(allow_null=True, help_text="The deployment to which a rollback goes back.")
    promoted_from = serializers.CharField(allow_null=True, help_text="The deployment of the environment before.")
    asked_by = ActorObject(allow_null=True, help_text="Who asked for it.")
    approved_by = ActorObject(allow_null=True, help_text="Who approved it, where that was needed.")
    approved_at = UnixTime(allow_null=True, help_text="When that was.")
    scheduled_at = UnixTime(allow_null=True, help_text="Before when it does not begin.")
    activated_at = UnixTime(allow_null=True, help_text="When it came into service.")
    ended_at = UnixTime(allow_null=True, help_text="When it was over.")
    ended_by = ActorObject(allow_null=True, help_text="Who ended it; null for the product itself.")
    reason = serializers.CharField(allow_blank=True, help_text="Why it ended, or what it waits for.")


class DeploymentWithSnapshotObject(DeploymentObject):
    """With all that its version is made of."""

    snapshot = serializers.DictField(help_text="All that shapes an answer, as it was published.")


class ScaleObject(serializers.Serializer):
    """How much of the house an assistant has in an environment; `null` limits nothing."""

    object = serializers.ChoiceField(choices=["assistant.scale"])
    assistant_id = serializers.CharField(help_text="The assistant.")
    environment = _environment("Whose runs are meant.")
    worker_slots = serializers.IntegerField(allow_null=True, help_text="How many of its runs are worked on at once.")
    priority = serializers.IntegerField(help_text="Runs of a higher one are taken first.")
    tokens_per_day = serializers.IntegerField(
        allow_null=True, help_text="After how many of a day no more runs are begun."
    )


class PlaceObject(serializers.Serializer):
    """An assistant in one environment."""

    environment = _environment("Where.")
    active = DeploymentObject(allow_null=True, help_text="What is in service for all threads, or all but the canary's.")
    canary = DeploymentObject(allow_null=True, help_text="What is in service for a part of the threads.")
    pending = DeploymentObject(many=True, help_text="What is scheduled, awaits approval or is being tried.")
    scale = ScaleObject(help_text="How much of the house it has there.")


class DeploymentStatusObject(serializers.Serializer):
    """What is in service, tried or waiting in every environment."""

    object = serializers.ChoiceField(choices=["assistant.deployment_status"])
    assistant_id = serializers.CharField(help_text="The assistant.")
    environments = PlaceObject(many=True, help_text="Each of them, from the first to the last.")


class ValidationObject(serializers.Serializer):
    """What every check says of a version."""

    object = serializers.ChoiceField(choices=["assistant.validation"])
    assistant_id = serializers.CharField(help_text="The assistant.")
    version = ValidatedVersion(help_text="What was looked at.")
    environment = _environment("Where it would be deployed.")
    verdict = serializers.ChoiceField(choices=Verdict.values, help_text="Of all checks together.")
    checks = FindingObject(many=True, help_text="What each of them says.")


class CheckObject(serializers.Serializer):
    """What a version has to pass."""

    name = serializers.CharField(help_text="The check's name, for programs.")
    title = serializers.CharField(help_text="What is checked, for people.")


class EnvironmentObject(serializers.Serializer):
    """Where versions are deployed to, and what that takes."""

    id = _environment("Its name.")
    object = serializers.ChoiceField(choices=["environment"])
    title = serializers.CharField(help_text="Its name for people.")
    following = serializers.ChoiceField(
        choices=Environment.values, allow_null=True, help_text="Where is promoted to from there."
    )
    four_eyes = serializers.BooleanField(help_text="Whether somebody else than who asked has to approve deployments.")
    scope = serializers.CharField(help_text="The scope that deploying there takes.")
    checks = CheckObject(many=True, help_text="What a version has to pass.")


DeploymentList, EnvironmentList = list_of(DeploymentObject), list_of(EnvironmentObject)


def example(title: str, body: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(title, value=body, request_only=True)
