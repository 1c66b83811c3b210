from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.evaluations import importing, services
from runs.evaluations.api import objects
from runs.evaluations.api.serializers import (
    CaseFromRunRequest,
    CaseRequest,
    EvaluationRequest,
    ImportRequest,
    StartRequest,
)
from runs.evaluations.comparison import compare
from runs.evaluations.models import EvaluationCase, EvaluationRun, EvaluationSet
from runs.evaluations.rendering import render_case, render_compared, render_result, render_run, render_set
from sovereign.accounts.api.audited import AuditedView
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import EVALUATIONS_READ, EVALUATIONS_WRITE
from sovereign.core.api.filters import chosen
from sovereign.core.api.pagination import BY_CREATION, page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS

BY_POSITION = ("position",)
EVERY_RIGHT = {
    "GET": EVALUATIONS_READ,
    "POST": EVALUATIONS_WRITE,
    "PUT": EVALUATIONS_WRITE,
    "DELETE": EVALUATIONS_WRITE,
}
FILTERS = [
    OpenApiParameter("assistant_id", str, description="Only those of this assistant."),
    OpenApiParameter(
        "status", {"type": "string", "enum": EvaluationRun.Status.values}, description="Only those with this status."
    ),
]
CASE_EXAMPLE = OpenApiExample(
    "A question with two checks",
    value={
        "name": "Opening hours",
        "input": "When are you open on Saturdays?",
        "reference": "We are open from 9 to 13 on Saturdays.",
        "checks": [{"type": "contains", "values": ["9", "13"]}, {"type": "similarity", "at_least": 0.7}],
    },
    request_only=True,
)
CHANGED_CASE_EXAMPLE = OpenApiExample(
    "Other checks",
    value={
        "checks": [
            {"type": "contains", "values": ["closed", "shut"], "mode": "any"},
            {"type": "regex", "pattern": "\\b(Sun|Mon)days?\\b", "case_sensitive": False},
            {"type": "judge", "criterion": "It is polite, and offers another day.", "at_least": 0.8},
        ]
    },
    request_only=True,
)
FROM_RUN_EXAMPLE = OpenApiExample(
    "A good answer",
    value={"run_id": "run_…", "name": "Opening hours", "checks": [{"type": "similarity", "at_least": 0.75}]},
    request_only=True,
)
START_EXAMPLES = [
    OpenApiExample("A version", value={"version": "3"}, request_only=True),
    OpenApiExample("An assistant as it is", value={"assistant_id": "asst_…", "version": "draft"}, request_only=True),
]
IMPORT_EXAMPLE = OpenApiExample(
    "A CSV",
    value={"format": "csv", "content": "input,contains,judge\nWho are you?,assistant,It says that it is no person.\n"},
    request_only=True,
)


class EvaluationsView(AuditedView):
    """Make and list evaluations."""

    scopes = EVERY_RIGHT
    serializer_class = EvaluationRequest
    subject = "evaluation_id"
    actions = {"POST": "evaluation.create"}

    @extend_schema(
        operation_id="createEvaluation",
        request=EvaluationRequest,
        responses=objects.EvaluationObject,
        examples=[
            OpenApiExample(
                "A gate of production",
                value={"name": "Support", "assistant_id": "asst_…", "gates": {"staging": 0.8, "production": 0.95}},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Make an evaluation.

        It has no cases yet. Gates are set by those who may promote: before a version is deployed to such an
        environment, the evaluation is run against it, and so many of its cases have to pass.
        """
        return Response(render_set(services.create_set(principal=principal_of(request), **self.body()), cases=0))

    @extend_schema(
        operation_id="listEvaluations", parameters=[*PAGE_PARAMETERS, FILTERS[0]], responses=objects.EvaluationList
    )
    def get(self, request: Request) -> Response:
        """List evaluations."""
        sets = EvaluationSet.objects.visible_to(principal_of(request)).annotate(number_of_cases=Count("cases"))
        if assistant_id := request.query_params.get("assistant_id"):
            sets = sets.filter(assistant_id=assistant_id)
        page = page_of(request.query_params)
        return Response(
            paginate(sets, page, order_by=BY_CREATION, render=lambda row: render_set(row, row.number_of_cases))
        )


class EvaluationView(AuditedView):
    """Read, change and delete an evaluation."""

    scopes = EVERY_RIGHT
    serializer_class = EvaluationRequest
    partial_body = True
    subject = "evaluation_id"
    actions = {"PUT": "evaluation.update", "DELETE": "evaluation.delete"}

    @extend_schema(operation_id="getEvaluation", responses=objects.EvaluationObject)
    def get(self, request: Request, evaluation_id: str) -> Response:
        """Read an evaluation."""
        return Response(render_set(services.get_set(principal=principal_of(request), set_id=evaluation_id)))

    @extend_schema(
        operation_id="updateEvaluation",
        request=EvaluationRequest(partial=True),
        responses=objects.EvaluationObject,
        examples=[
            OpenApiExample(
                "Another gate",
                value={"description": "What customers ask.", "gates": {"production": 0.9}},
                request_only=True,
            )
        ],
    )
    def put(self, request: Request, evaluation_id: str) -> Response:
        """Change an evaluation: the fields that are sent."""
        changed = services.update_set(principal=principal_of(request), set_id=evaluation_id, **self.body())
        return Response(render_set(changed))

    @extend_schema(operation_id="deleteEvaluation", responses=objects.DeletedEvaluation)
    def delete(self, request: Request, evaluation_id: str) -> Response:
        """Delete an evaluation with its cases and runs."""
        services.delete_set(principal=principal_of(request), set_id=evaluation_id)
        return Response({"id": evaluation_id, "object": "evaluation.deleted", "deleted": True})


class CasesView(AuditedView):
    """Add and list the cases of an evaluation."""

    scopes = EVERY_RIGHT
    serializer_class = CaseRequest
    subject = "evaluation_id"
    actions = {"POST": "evaluation.add_case"}

    @extend_schema(
        operation_id="createEvaluationCase",
        request=CaseRequest,
        responses=objects.EvaluationCaseObject,
        examples=[CASE_EXAMPLE],
    )
    def post(self, request: Request, evaluation_id: str) -> Response:
        """Add a case."""
        made = services.create_case(principal=principal_of(request), set_id=evaluation_id, **self.body())
        return Response(render_case(made))

    @extend_schema(operation_id="listEvaluationCases", parameters=PAGE_PARAMETERS, responses=objects.EvaluationCaseList)
    def get(self, request: Request, evaluation_id: str) -> Response:
        """List the cases."""
        owner = services.get_set(principal=principal_of(request), set_id=evaluation_id)
        cases = EvaluationCase.objects.of(owner.id)
        return Response(paginate(cases, page_of(request.query_params), order_by=BY_POSITION, render=render_case))


class CaseView(AuditedView):
    """Read, change and delete a case."""

    scopes = EVERY_RIGHT
    serializer_class = CaseRequest
    partial_body = True
    subject = "evaluation_id"
    actions = {"PUT": "evaluation.update_case", "DELETE": "evaluation.delete_case"}

    @extend_schema(operation_id="getEvaluationCase", responses=objects.EvaluationCaseObject)
    def get(self, request: Request, evaluation_id: str, case_id: str) -> Response:
        """Read a case."""
        case = services.get_case(principal=principal_of(request), set_id=evaluation_id, case_id=case_id)
        return Response(render_case(case))

    @extend_schema(
        operation_id="updateEvaluationCase",
        request=CaseRequest(partial=True),
        responses=objects.EvaluationCaseObject,
        examples=[CHANGED_CASE_EXAMPLE],
    )
    def put(self, request: Request, evaluation_id: str, case_id: str) -> Response:
        """Change a case: the fields that are sent."""
        names = {"set_id": evaluation_id, "case_id": case_id}
        return Response(render_case(services.update_case(principal=principal_of(request), **names, **self.body())))

    @extend_schema(operation_id="deleteEvaluationCase", responses=objects.DeletedEvaluationCase)
    def delete(self, request: Request, evaluation_id: str, case_id: str) -> Response:
        """Delete a case; what came of it in earlier runs stays."""
        services.delete_case(principal=principal_of(request), set_id=evaluation_id, case_id=case_id)
        return Response({"id": case_id, "object": "evaluation.case.deleted", "deleted": True})


class ImportView(AuditedView):
    """Take the cases of a file."""

    scopes = {"POST": EVALUATIONS_WRITE}
    serializer_class = ImportRequest
    subject = "evaluation_id"
    actions = {"POST": "evaluation.import_cases"}
    read: dict[str, Any]

    def prepare(self, request: Request, **names: str) -> None:
        """Read the file, which may take seconds, while nobody waits for a transaction's end."""
        body = self.body()
        self.read = {"cases": importing.read(body["format"], body["content"]), "replace": body["replace"]}

    @extend_schema(
        operation_id="importEvaluationCases",
        request=ImportRequest,
        responses=objects.ImportedCases,
        examples=[IMPORT_EXAMPLE],
    )
    def post(self, request: Request, evaluation_id: str) -> Response:
        """Add the cases of a file: all of them, or none.

        JSONL has a case in each line, as it would be sent alone. CSV has a header: `name`, `input`, `reference`;
        `messages`, `checks` and `variables` as JSON; `variable:NAME`; and for single checks `exact`, `contains` (texts
        between `|`), `regex`, `similarity` (the cosine that is enough) and `judge` (the criterion).
        """
        added = services.import_cases(principal=principal_of(request), set_id=evaluation_id, **self.read)
        return Response(
            {
                "object": "evaluation.import",
                "evaluation_id": evaluation_id,
                "added": len(added),
                "cases": EvaluationCase.objects.of(evaluation_id).count(),
            }
        )


class CaseFromRunView(AuditedView):
    """Make a case of a run."""

    scopes = {"POST": EVALUATIONS_WRITE}
    serializer_class = CaseFromRunRequest
    subject = "evaluation_id"
    actions = {"POST": "evaluation.add_case"}

    @extend_schema(
        operation_id="createEvaluationCaseFromRun",
        request=CaseFromRunRequest,
        responses=objects.EvaluationCaseObject,
        examples=[FROM_RUN_EXAMPLE],
    )
    def post(self, request: Request, evaluation_id: str) -> Response:
        """Make a case of a run: what was said before it, and its answer as a good one."""
        made = services.case_from_run(principal=principal_of(request), set_id=evaluation_id, **self.body())
        return Response(render_case(made))


class StartView(AuditedView):
    """Run an evaluation, and list its runs."""

    scopes = EVERY_RIGHT
    serializer_class = StartRequest
    subject = "evaluation_id"
    spends_tokens = True
    actions = {"POST": "evaluation.start_run"}

    @extend_schema(
        operation_id="createEvaluationRun",
        request=StartRequest,
        responses=objects.EvaluationRunObject,
        examples=START_EXAMPLES,
    )
    def post(self, request: Request, evaluation_id: str) -> Response:
        """Run all cases against a version, in the background."""
        made = services.start_run(principal=principal_of(request), set_id=evaluation_id, **self.body())
        return Response(render_run(made))

    @extend_schema(
        operation_id="listRunsOfEvaluation",
        parameters=[*PAGE_PARAMETERS, *FILTERS],
        responses=objects.EvaluationRunList,
    )
    def get(self, request: Request, evaluation_id: str) -> Response:
        """List the runs of an evaluation."""
        principal = principal_of(request)
        owner = services.get_set(principal=principal, set_id=evaluation_id)
        return _page_of_runs(EvaluationRun.objects.visible_to(principal).filter(set=owner), request)


class RunsView(AuditedView):
    """List runs of evaluations."""

    scopes = {"GET": EVALUATIONS_READ}

    @extend_schema(
        operation_id="listEvaluationRuns",
        parameters=[*PAGE_PARAMETERS, *FILTERS],
        responses=objects.EvaluationRunList,
    )
    def get(self, request: Request) -> Response:
        """List the runs of all evaluations."""
        return _page_of_runs(EvaluationRun.objects.visible_to(principal_of(request)), request)


def _page_of_runs(runs: QuerySet[Any], request: Request) -> Response:
    asked = request.query_params
    wanted = {"assistant_id": asked.get("assistant_id"), "status": chosen(asked, "status", EvaluationRun.Status.values)}
    rows = runs.filter(**{name: value for name, value in wanted.items() if value}).select_related("version")
    return Response(paginate(rows, page_of(asked), order_by=BY_CREATION, render=render_run))


class RunView(AuditedView):
    """Read a run of an evaluation."""

    scopes = {"GET": EVALUATIONS_READ}

    @extend_schema(operation_id="getEvaluationRun", responses=objects.EvaluationRunObject)
    def get(self, request: Request, evaluation_run_id: str) -> Response:
        """Read how far a run is, and what came of it."""
        return Response(render_run(services.get_run(principal=principal_of(request), run_id=evaluation_run_id)))


class CancelView(AuditedView):
    """Call a run off."""

    scopes = {"POST": EVALUATIONS_WRITE}
    subject = "evaluation_run_id"
    actions = {"POST": "evaluation.cancel_run"}

    @extend_schema(operation_id="cancelEvaluationRun", request=None, responses=objects.EvaluationRunObject)
    def post(self, request: Request, evaluation_run_id: str) -> Response:
        """Call a run off: what is done stays, and nothing more is begun."""
        return Response(render_run(services.cancel_run(principal=principal_of(request), run_id=evaluation_run_id)))


class ResultsView(AuditedView):
    """List what came of the cases."""

    scopes = {"GET": EVALUATIONS_READ}

    @extend_schema(
        operation_id="listEvaluationResults", parameters=PAGE_PARAMETERS, responses=objects.EvaluationResultList
    )
    def get(self, request: Request, evaluation_run_id: str) -> Response:
        """List what came of the cases of a run."""
        run = services.get_run(principal=principal_of(request), run_id=evaluation_run_id)
        page = page_of(request.query_params)
        return Response(paginate(run.results.all(), page, order_by=BY_POSITION, render=render_result))


class ComparisonView(AuditedView):
    """Two runs side by side."""

    scopes = {"GET": EVALUATIONS_READ}

    @extend_schema(
        operation_id="compareEvaluationRuns",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter(
                "against",
                str,
                description="Another run of the evaluation; by default the newest of the previous version's.",
            ),
        ],
        responses=objects.EvaluationComparison,
    )
    def get(self, request: Request, evaluation_run_id: str) -> Response:
        """Compare a run with the previous version's, or with another one, case by case."""
        asked = request.query_params
        comparison = compare(
            principal=principal_of(request), run_id=evaluation_run_id, against=asked.get("against") or None
        )
        page = paginate(
            comparison.run.results.all(),
            page_of(asked),
            order_by=BY_POSITION,
            render=lambda result: render_compared(comparison, result),
        )
        against = comparison.against
        return Response(
            {
                **page,
                "run": render_run(comparison.run),
                "against": render_run(against) if against is not None else None,
                "counts": comparison.counts,
            }
        )
