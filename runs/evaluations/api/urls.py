"""``/api/v1/evaluations``: fixed words go before those where an evaluation's id may stand."""

from django.urls import path

from runs.evaluations.api import views

urlpatterns = [
    path("evaluations", views.EvaluationsView.as_view(), name="evaluations"),
    path("evaluations/runs", views.RunsView.as_view(), name="evaluation-runs"),
    path("evaluations/runs/<str:evaluation_run_id>", views.RunView.as_view(), name="evaluation-run"),
    path("evaluations/runs/<str:evaluation_run_id>/cancel", views.CancelView.as_view(), name="evaluation-run-cancel"),
    path(
        "evaluations/runs/<str:evaluation_run_id>/results", views.ResultsView.as_view(), name="evaluation-run-results"
    ),
    path(
        "evaluations/runs/<str:evaluation_run_id>/comparison",
        views.ComparisonView.as_view(),
        name="evaluation-run-comparison",
    ),
    path("evaluations/<str:evaluation_id>", views.EvaluationView.as_view(), name="evaluation"),
    path("evaluations/<str:evaluation_id>/cases", views.CasesView.as_view(), name="evaluation-cases"),
    path("evaluations/<str:evaluation_id>/cases/import", views.ImportView.as_view(), name="evaluation-import"),
    path("evaluations/<str:evaluation_id>/cases/from_run", views.CaseFromRunView.as_view(), name="evaluation-from-run"),
    path("evaluations/<str:evaluation_id>/cases/<str:case_id>", views.CaseView.as_view(), name="evaluation-case"),
    path("evaluations/<str:evaluation_id>/runs", views.StartView.as_view(), name="evaluation-start"),
]
