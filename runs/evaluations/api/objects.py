"""What the routes of evaluations answer, for the documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from runs.evaluations.api.serializers import GATES
from runs.evaluations.comparison import Change
from runs.evaluations.models import EvaluationResult, EvaluationRun
from sovereign.core.api.schema import ListEnvelope, UnixTime, deleted, list_of


def told(field: type[serializers.Field], words: str, **options: Any) -> Any:
    """A field with what it means."""
    return field(help_text=words, **options)


class EvaluationObject(serializers.Serializer):
    """Cases that belong together."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["evaluation"])
    created_at = UnixTime()
    updated_at = told(UnixTime, "When it, or one of its cases, was last changed.")
    name = serializers.CharField()
    description = told(serializers.CharField, "What it is about.")
    assistant_id = told(serializers.CharField, "The assistant that it is for; null for all.", allow_null=True)
    gates = told(serializers.DictField, GATES, child=serializers.FloatField())
    cases = told(serializers.IntegerField, "How many cases it has.")
    revision = told(serializers.IntegerField, "Raised by every change of its cases.")


EvaluationList = list_of(EvaluationObject)
DeletedEvaluation = deleted("evaluation")


class EvaluationCaseObject(serializers.Serializer):
    """What is said to an assistant, and what its answer has to be like."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["evaluation.case"])
    created_at = UnixTime()
    updated_at = told(UnixTime, "When it was last changed.")
    evaluation_id = told(serializers.CharField, "The evaluation that it belongs to.")
    name = serializers.CharField()
    messages = told(serializers.ListField, "What is said to the assistant.", child=serializers.DictField())
    reference = told(serializers.CharField, "A good answer; may be empty.")
    checks = told(serializers.ListField, "What has to pass.", child=serializers.DictField())
    variables = told(serializers.DictField, "What prompts are filled with.", child=serializers.CharField())
    source_run_id = told(serializers.CharField, "The run that it was made of, if it was.", allow_null=True)


EvaluationCaseList = list_of(EvaluationCaseObject)
DeletedEvaluationCase = deleted("evaluation.case")


class ImportedCases(serializers.Serializer):
    """What a file brought."""

    object = serializers.ChoiceField(choices=["evaluation.import"])
    evaluation_id = told(serializers.CharField, "The evaluation that the cases were added to.")
    added = told(serializers.IntegerField, "How many cases were added.")
    cases = told(serializers.IntegerField, "How many there are now.")


class EvaluationCounts(serializers.Serializer):
    """Of the cases of a run."""

    total = told(serializers.IntegerField, "All of them.")
    passed = told(serializers.IntegerField, "Those of which all checks passed.")
    failed = told(serializers.IntegerField, "Those of which a check failed.")
    errored = told(serializers.IntegerField, "Those that could not be tried: they do not count as passed.")


class EvaluationRunObject(serializers.Serializer):
    """An evaluation against a version."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["evaluation.run"])
    created_at = UnixTime()
    started_at = told(UnixTime, "When its first case was begun.", allow_null=True)
    ended_at = told(UnixTime, "When it was over.", allow_null=True)
    evaluation_id = told(serializers.CharField, "The evaluation.")
    assistant_id = told(serializers.CharField, "The assistant that answers.")
    version_id = told(serializers.CharField, "The version that answers.")
    version = told(serializers.IntegerField, "Its number.")
    revision = told(serializers.IntegerField, "That of the evaluation when the cases were taken.")
    deployment_id = told(serializers.CharField, "The deployment that began it, if one did.", allow_null=True)
    status = told(serializers.ChoiceField, "How far it is.", choices=EvaluationRun.Status.values)
    counts = told(EvaluationCounts, "What came of its cases so far.")
    pass_rate = told(serializers.FloatField, "The share that passed, once all are done.", allow_null=True)


EvaluationRunList = list_of(EvaluationRunObject)


class EvaluationVerdict(serializers.Serializer):
    """What a check found."""

    type = told(serializers.CharField, "The kind of check.")
    passed = told(serializers.BooleanField, "Whether it passed.")
    detail = told(serializers.CharField, "Why, in a sentence.")
    score = told(serializers.FloatField, "From 0 to 1, of checks that have one.", allow_null=True)


class EvaluationResultObject(serializers.Serializer):
    """What came of one case."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["evaluation.result"])
    created_at = UnixTime()
    ended_at = told(UnixTime, "When it was decided.", allow_null=True)
    evaluation_run_id = told(serializers.CharField, "The run of the evaluation.")
    case_id = told(serializers.CharField, "The case.", allow_null=True)
    case = told(serializers.DictField, "The case as it was.")
    status = told(serializers.ChoiceField, "How far it is, or what came of it.", choices=EvaluationResult.Status.values)
    answer = told(serializers.CharField, "What the assistant said.")
    verdicts = told(EvaluationVerdict, "What the checks found.", many=True)
    error = told(serializers.CharField, "Why there is no answer or no verdict.", allow_null=True)
    thread_id = told(serializers.CharField, "The thread on which it was answered.", allow_null=True)
    run_id = told(serializers.CharField, "The run that answered.", allow_null=True)
    milliseconds = told(serializers.IntegerField, "How long the answer took.", allow_null=True)
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()


EvaluationResultList = list_of(EvaluationResultObject)


class ComparedCaseObject(serializers.Serializer):
    """A case in two runs."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["evaluation.compared_case"])
    case_id = told(serializers.CharField, "The case.", allow_null=True)
    name = serializers.CharField()
    change = told(serializers.ChoiceField, "What became of it.", choices=Change.values)
    before = told(EvaluationResultObject, "In the other run, if it was in it.", allow_null=True)
    after = told(EvaluationResultObject, "In this run.")


class ChangeCounts(serializers.Serializer):
    """How many cases changed, and how."""

    fixed = told(serializers.IntegerField, "Passed now, and not before.")
    broken = told(serializers.IntegerField, "Passed before, and not now.")
    same = told(serializers.IntegerField, "As before.")
    case_changed = told(serializers.IntegerField, "The case is another one than before.")
    new = told(serializers.IntegerField, "Not in the other run.")
    open = told(serializers.IntegerField, "Not done yet.")
    gone = told(serializers.IntegerField, "Only in the other run.")


class EvaluationComparison(ListEnvelope):
    """Two runs side by side: a page of the cases."""

    data = ComparedCaseObject(many=True)  # type: ignore[assignment]  # the list's, not the serializer's own
    run = told(EvaluationRunObject, "The run.")
    against = told(EvaluationRunObject, "The one that it is compared with, if there is one.", allow_null=True)
    counts = told(ChangeCounts, "How many cases changed, and how: of all, not only of this page.")
