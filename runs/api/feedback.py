"""Thumbs: what people and applications think of answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.api.lifecycle.base import LifecycleView
from runs.models import COMMENT_LENGTH, Feedback
from runs.services import feedback
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import RUNS_READ, RUNS_WRITE
from sovereign.core.api.pagination import BY_CREATION, page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS, UnixTime, deleted, list_of
from sovereign.core.api.validation import StrictChoice, StrictSerializer, StrictString
from threads.rendering import unix

OBJECT = "run.feedback"
TAGS = ["Runs"]
RATING = "Whether the answer was good (`up`) or bad (`down`)."
COMMENT = "What was good or bad about it."
KEPT = f"{COMMENT} Without it the one that was given before stays; an empty one takes it back."


class FeedbackRequest(StrictSerializer):
    rating = StrictChoice(choices=Feedback.Rating.values, help_text=RATING)
    comment = StrictString(max_length=COMMENT_LENGTH, required=False, help_text=KEPT)


class FeedbackObject(serializers.Serializer):
    """What somebody thinks of an answer."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=[OBJECT])
    created_at = UnixTime()
    updated_at = UnixTime(help_text="When it was said last.")
    run_id = serializers.CharField()
    rating = serializers.ChoiceField(choices=Feedback.Rating.values, help_text=RATING)
    comment = serializers.CharField(allow_blank=True, help_text=COMMENT)
    user_id = serializers.IntegerField(allow_null=True, help_text="The person who said it.")
    key_id = serializers.CharField(allow_null=True, help_text="The API key whose application said it.")


class FeedbackView(LifecycleView):
    """Read what was said of a run, say something, or take it back."""

    scopes = {"GET": RUNS_READ, "POST": RUNS_WRITE, "DELETE": RUNS_WRITE}
    actions = {"POST": "run.rate", "DELETE": "run.withdraw_rating"}
    subject = "run_id"
    serializer_class = FeedbackRequest

    @extend_schema(
        operation_id="listRunFeedback", tags=TAGS, parameters=PAGE_PARAMETERS, responses=list_of(FeedbackObject)
    )
    def get(self, request: Request, run_id: str) -> Response:
        """What was said of a run, by everybody who did."""
        said = feedback.feedback_of(principal=principal_of(request), run_id=run_id)
        return Response(paginate(said, page_of(request.query_params), order_by=BY_CREATION, render=render_feedback))

    @extend_schema(
        operation_id="rateRun",
        tags=TAGS,
        request=FeedbackRequest,
        responses=FeedbackObject,
        examples=[OpenApiExample("Not good", {"rating": "down", "comment": "The figures are last year's."})],
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Rate a run that is over.

        A person, or a key, has one opinion of a run: it takes the place of an earlier one.
        """
        return Response(render_feedback(feedback.rate(principal=principal_of(request), run_id=run_id, **self.body())))

    @extend_schema(operation_id="deleteRunFeedback", tags=TAGS, responses=deleted(OBJECT))
    def delete(self, request: Request, run_id: str) -> Response:
        """Take one's own rating back."""
        feedback.withdraw(principal=principal_of(request), run_id=run_id)
        return Response({"id": run_id, "object": f"{OBJECT}.deleted", "deleted": True})


def render_feedback(feedback: Feedback) -> dict[str, Any]:
    return {
        "id": feedback.id,
        "object": OBJECT,
        "created_at": unix(feedback.created_at),
        "updated_at": unix(feedback.updated_at),
        "run_id": feedback.run_id,
        "rating": feedback.rating,
        "comment": feedback.comment,
        "user_id": feedback.user_id,
        "key_id": feedback.key_id,
    }
