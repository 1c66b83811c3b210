from django.urls import path

from runs.api.feedback import FeedbackView
from runs.api.origins import RunOriginView
from runs.api.replays import ReplayView
from runs.api.views import (
    CancelView,
    RunsView,
    RunView,
    StepsView,
    StepView,
    SubmitToolOutputsView,
    ThreadAndRunView,
)

RUN = "threads/<str:thread_id>/runs/<str:run_id>"

urlpatterns = [
    path("threads/runs", ThreadAndRunView.as_view(), name="thread-and-run"),
    path("threads/<str:thread_id>/runs", RunsView.as_view(), name="runs"),
    path(RUN, RunView.as_view(), name="run"),
    path(f"{RUN}/cancel", CancelView.as_view(), name="run-cancel"),
    path(f"{RUN}/submit_tool_outputs", SubmitToolOutputsView.as_view(), name="run-submit-tool-outputs"),
    path(f"{RUN}/steps", StepsView.as_view(), name="run-steps"),
    path(f"{RUN}/steps/<str:step_id>", StepView.as_view(), name="run-step"),
]

#: what the contract does not know
own_patterns = [
    path("runs/<str:run_id>", RunOriginView.as_view(), name="run-origin"),
    path("runs/<str:run_id>/feedback", FeedbackView.as_view(), name="run-feedback"),
    path("runs/<str:run_id>/replay", ReplayView.as_view(), name="run-replay"),
]
