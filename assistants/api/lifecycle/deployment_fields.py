"""What is sent about deployments, and what is answered, for the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from assistants.deployments import canaries, limits
from assistants.deployments.checks import Verdict
from assistants.deployments.decisions import DECISIONS
from assistants.kinds import Environment
from assistants.models import Deployment
from assistants.models.versions import NOTES_LENGTH
from sovereign.core.api.schema import UnixTime, list_of
from sovereign.core.api.validation import StrictBoolean, StrictChoice, StrictNumber, StrictSerializer, StrictString

ID_LENGTH = 64
REASON_LENGTH = 400  # the rest of the column is for what is said beside it
LATEST = 253_402_300_799  # the last second of the year 9999


class Instant(StrictNumber):
    """Seconds since 1970; it becomes a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=0, maximum=LATEST, integer=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        return datetime.fromtimestamp(super().to_internal_value(data), UTC)


def _threshold(name: str) -> StrictNumber:
    least, most = canaries.LIMITS[name]
    whole = name == "minimum_runs"
    return StrictNumber(minimum=least, maximum=most, integer=whole, required=False, allow_null=not whole)


class Thresholds(StrictSerializer):
    """How much worse a canary may be; `null`: it is not looked at. What is left out has its default."""

    error_rate = _threshold("error_rate")
    latency_ratio = _threshold("latency_ratio")
    thumbs_down_rate = _threshold("thumbs_down_rate")
    minimum_runs = _threshold("minimum_runs")


class EnvironmentField(StrictChoice):
    def __init__(self, **options: Any) -> None:
        super().__init__(choices=list(Environment.values), **options)


class _Wish(StrictSerializer):
    environment = EnvironmentField()
    percent = StrictNumber(
        minimum=float(canaries.LEAST_PERCENT), maximum=float(canaries.MOST_PERCENT), required=False, allow_null=True
    )
    thresholds = Thresholds(required=False, allow_null=True)
    notes = StrictString(max_length=NOTES_LENGTH, required=False)
    scheduled_at = Instant(required=False, allow_null=True)
    expected_deployment = StrictString(max_length=ID_LENGTH, required=False, allow_null=True)


class DeployRequest(_Wish):
    """A version, by id or number (without it: the draft), in an environment; `percent` makes it a canary."""

    version = StrictString(max_length=ID_LENGTH, min_length=1, required=False, allow_null=True)


class PromoteRequest(_Wish):
    """What is in service in `environment` is to be so in the next one."""


class RollBackRequest(StrictSerializer):
    """The environment, and why."""

    environment = EnvironmentField()
    reason = StrictString(max_length=REASON_LENGTH, required=False)
    expected_deployment = StrictString(max_length=ID_LENGTH, required=False, allow_null=True)


class ValidateRequest(StrictSerializer):
    """A version, by id or number (without it: the draft), and where it would be deployed."""

    environment = EnvironmentField()
    version = StrictString(max_length=ID_LENGTH, min_length=1, required=False, allow_null=True)


class ScaleRequest(StrictSerializer):
    """What changes; `null` limits nothing."""

    environment = EnvironmentField()
    worker_slots = StrictNumber(minimum=1, maximum=limits.MOST_SLOTS, integer=True, required=False, allow_null=True)
    priority = StrictNumber(
        minimum=-limits.MOST_PRIORITY, maximum=limits.MOST_PRIORITY, integer=True, required=False, allow_null=True
    )
    tokens_per_day = StrictNumber(minimum=1, maximum=limits.MOST_TOKENS, integer=True, required=False, allow_null=True)


class StatusRequest(StrictSerializer):
    """A decision about a deployment, or a canary's new share."""

    status = StrictChoice(choices=list(DECISIONS), required=False)
    percent = StrictNumber(minimum=float(canaries.LEAST_PERCENT), maximum=float(canaries.MOST_PERCENT), required=False)
    reason = StrictString(max_length=REASON_LENGTH, required=False)


class PolicyRequest(StrictSerializer):
    """Whether somebody else than who asked has to approve deployments there."""

    four_eyes = StrictBoolean()


class ActorObject(serializers.Serializer):
    """A person or an API key; one that was deleted has no name."""

    type = serializers.ChoiceField(choices=["user", "api_key"])
    id = serializers.CharField()
    name = serializers.CharField(allow_null=True)


class FindingObject(serializers.Serializer):
    """What a check found, and what to do about it."""

    name = serializers.CharField()
    title = serializers.CharField()
    verdict = serializers.ChoiceField(choices=Verdict.values)
    detail = serializers.CharField(allow_blank=True)
    fix = serializers.CharField(allow_blank=True)


class VersionReference(serializers.Serializer):
    """A version of the assistant."""

    id = serializers.CharField()
    number = serializers.IntegerField()


class ValidatedVersion(serializers.Serializer):
    """A version of the assistant; the draft has no id before it is published."""

    id = serializers.CharField(allow_null=True)
    number = serializers.IntegerField()


class DeploymentObject(serializers.Serializer):
    """A version in an environment, from the wish to the end."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.deployment"])
    created_at = UnixTime()
    assistant_id = serializers.CharField()
    version = VersionReference()
    environment = serializers.ChoiceField(choices=Environment.values)
    status = serializers.ChoiceField(choices=Deployment.Status.values)
    percent = serializers.FloatField(allow_null=True)
    thresholds = serializers.DictField(allow_null=True)
    checks = FindingObject(many=True)
    smoke_run_id = serializers.CharField(allow_null=True)
    notes = serializers.CharField(allow_blank=True)
    replaces = serializers.CharField(allow_null=True)
    promoted_from = serializers.CharField(allow_null=True)
    asked_by = ActorObject(allow_null=True)
    approved_by = ActorObject(allow_null=True)
    approved_at = UnixTime(allow_null=True)
    scheduled_at = UnixTime(allow_null=True)
    activated_at = UnixTime(allow_null=True)
    ended_at = UnixTime(allow_null=True)
    ended_by = ActorObject(allow_null=True)
    reason = serializers.CharField(allow_blank=True)


class DeploymentWithSnapshotObject(DeploymentObject):
    """With all that its version is made of."""

    snapshot = serializers.DictField()


class ScaleObject(serializers.Serializer):
    """How much of the house an assistant has in an environment; `null` limits nothing."""

    object = serializers.ChoiceField(choices=["assistant.scale"])
    assistant_id = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.values)
    worker_slots = serializers.IntegerField(allow_null=True)
    priority = serializers.IntegerField()
    tokens_per_day = serializers.IntegerField(allow_null=True)


class PlaceObject(serializers.Serializer):
    """An assistant in one environment."""

    environment = serializers.ChoiceField(choices=Environment.values)
    active = DeploymentObject(allow_null=True)
    canary = DeploymentObject(allow_null=True)
    pending = DeploymentObject(many=True)
    scale = ScaleObject()


class DeploymentStatusObject(serializers.Serializer):
    """What is in service, tried or waiting in every environment."""

    object = serializers.ChoiceField(choices=["assistant.deployment_status"])
    assistant_id = serializers.CharField()
    environments = PlaceObject(many=True)


class ValidationObject(serializers.Serializer):
    """What every check says of a version."""

    object = serializers.ChoiceField(choices=["assistant.validation"])
    assistant_id = serializers.CharField()
    version = ValidatedVersion()
    environment = serializers.ChoiceField(choices=Environment.values)
    verdict = serializers.ChoiceField(choices=Verdict.values)
    checks = FindingObject(many=True)


class CheckObject(serializers.Serializer):
    """What a version has to pass."""

    name = serializers.CharField()
    title = serializers.CharField()


class EnvironmentObject(serializers.Serializer):
    """Where versions are deployed to, and what that takes."""

    id = serializers.ChoiceField(choices=Environment.values)
    object = serializers.ChoiceField(choices=["environment"])
    title = serializers.CharField()
    following = serializers.ChoiceField(choices=Environment.values, allow_null=True)
    four_eyes = serializers.BooleanField()
    scope = serializers.CharField()
    checks = CheckObject(many=True)


DeploymentList, EnvironmentList = list_of(DeploymentObject), list_of(EnvironmentObject)


def example(title: str, body: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(title, value=body, request_only=True)
