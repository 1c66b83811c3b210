from __future__ import annotations

from django.urls import path

from assistants.prompts.api import versions, views

_ONE = "prompts/<str:prompt_id>"

urlpatterns = [
    path("prompts", views.PromptsView.as_view()),
    path(_ONE, views.PromptView.as_view()),
    path(f"{_ONE}/usage", views.PromptUsageView.as_view()),
    path(f"{_ONE}/versions", versions.PromptVersionsView.as_view()),
    path(f"{_ONE}/versions/<str:version>", versions.PromptVersionView.as_view()),
    path(f"{_ONE}/diff", versions.PromptDifferenceView.as_view()),
    path(f"{_ONE}/labels", versions.PromptLabelsView.as_view()),
    path(f"{_ONE}/labels/<str:name>", versions.PromptLabelView.as_view()),
    path(f"{_ONE}/preview", versions.PromptPreviewView.as_view()),
]
