"""Deployments: ``/api/v1/assistants``."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants import deployments, services
from assistants.api.lifecycle.base import LifecycleView
from assistants.api.lifecycle.deployment_fields import (
    DeploymentList,
    DeploymentObject,
    DeploymentStatusObject,
    DeploymentWithSnapshotObject,
    DeployRequest,
    EnvironmentList,
    EnvironmentObject,
    PolicyRequest,
    PromoteRequest,
    RollBackRequest,
    ScaleObject,
    ScaleRequest,
    StatusRequest,
    ValidateRequest,
    ValidationObject,
    example,
)
from assistants.deployments import policies, rendering, scaling
from assistants.kinds import Environment
from assistants.models import Deployment
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, ASSISTANTS_PROMOTE, ASSISTANTS_READ
from sovereign.core.api.filters import chosen
from sovereign.core.api.pagination import BY_CREATION, enveloped, page_of, paginate_together
from sovereign.core.api.schema import PAGE_PARAMETERS
from sovereign.core.errors import not_found

IN_USE = ("active", "canary", *rendering.WAITING)


class DeployView(LifecycleView):
    """Have a version in service."""

    scopes = {"POST": ASSISTANTS_DEPLOY}
    actions = {"POST": "assistant.deploy"}
    serializer_class = DeployRequest

    @extend_schema(
        operation_id="deployAssistant",
        request=DeployRequest,
        responses=DeploymentObject,
        examples=[
            example("The draft, to be tried out", {"environment": "development"}),
            example(
                "A version for a tenth of the threads",
                {"environment": "production", "version": "4", "percent": 10, "thresholds": {"error_rate": 0.05}},
            ),
        ],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Deploy a version to an environment.

        Without `version` it is the draft, which becomes a version. In development and testing it is in service at
        once; in staging and production it is tried first, and may have to be approved. What is not ready is refused:
        `error.checks` has every check, with what to do about those that failed.
        """
        deployment = deployments.deploy(principal=principal_of(request), assistant_id=assistant_id, **self.body())
        return Response(rendering.render_deployment(deployment))


class PromoteView(LifecycleView):
    """Go on to the next environment."""

    scopes = {"POST": ASSISTANTS_DEPLOY}
    actions = {"POST": "assistant.promote"}
    serializer_class = PromoteRequest

    @extend_schema(
        operation_id="promoteAssistant",
        request=PromoteRequest,
        responses=DeploymentObject,
        examples=[example("From staging to production", {"environment": "staging", "notes": "As tested."})],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Promote what is in service.

        The version that is in service in `environment` is deployed to the next one, as `deploy` does it.
        """
        deployment = deployments.promote(principal=principal_of(request), assistant_id=assistant_id, **self.body())
        return Response(rendering.render_deployment(deployment))


class RollBackView(LifecycleView):
    """Go back."""

    scopes = {"POST": ASSISTANTS_DEPLOY}
    actions = {"POST": "assistant.roll_back"}
    serializer_class = RollBackRequest

    @extend_schema(
        operation_id="rollBackAssistant",
        request=RollBackRequest,
        responses=DeploymentObject,
        examples=[example("With a reason", {"environment": "production", "reason": "It invents prices."})],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Roll back to what was in service before.

        Where there is a canary, that is taken back. Answers with what is in service now.
        """
        deployment = deployments.roll_back(principal=principal_of(request), assistant_id=assistant_id, **self.body())
        return Response(rendering.render_deployment(deployment))


class ValidateView(LifecycleView):
    """Ask what is missing."""

    scopes = {"POST": ASSISTANTS_READ}
    actions = {"POST": "assistant.validate"}
    serializer_class = ValidateRequest

    @extend_schema(
        operation_id="validateAssistant",
        request=ValidateRequest,
        responses=ValidationObject,
        examples=[example("For production", {"environment": "production", "version": "4"})],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Check a version without deploying it.

        Without `version` it is the draft, which is not published by that. What has to be tried, like a first
        conversation, is `pending`: that begins when the version is deployed.
        """
        body = self.body()
        version, findings = deployments.validate(principal=principal_of(request), assistant_id=assistant_id, **body)
        return Response(rendering.render_validation(version, body["environment"], findings))


class ScaleView(LifecycleView):
    """Set how much of the house an assistant has."""

    scopes = {"POST": ASSISTANTS_PROMOTE}
    actions = {"POST": "assistant.scale"}
    serializer_class = ScaleRequest

    @extend_schema(
        operation_id="scaleAssistant",
        request=ScaleRequest,
        responses=ScaleObject,
        examples=[
            example("Two at once, before others", {"environment": "production", "worker_slots": 2, "priority": 10})
        ],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Set slots, priority and tokens a day of an assistant in an environment.

        Only the fields that are sent change.
        """
        body = self.body()
        scale = deployments.scale(principal=principal_of(request), assistant_id=assistant_id, **body)
        return Response(rendering.render_scale(assistant_id, body["environment"], scale))


class DeploymentsView(LifecycleView):
    """The history."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="listDeployments",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("environment", str, enum=Environment.values, description="Only those there."),
            OpenApiParameter("status", str, enum=Deployment.Status.values, description="Only those that are so."),
        ],
        responses=DeploymentList,
    )
    def get(self, request: Request, assistant_id: str) -> Response:
        """All deployments of an assistant, with who asked for, approved and ended them."""
        assistant = services.get_assistant(principal=principal_of(request), assistant_id=assistant_id)
        filters = _filters(request)
        rows = Deployment.objects.of(assistant.id).filter(**filters).select_related("version")
        page = page_of(request.query_params)
        return Response(paginate_together(rows, page, order_by=BY_CREATION, render=rendering.render_deployments))


class DeploymentStatusView(LifecycleView):
    """What is where."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(operation_id="getDeploymentStatus", responses=DeploymentStatusObject)
    def get(self, request: Request, assistant_id: str) -> Response:
        """What of an assistant is in service, tried or waiting in every environment."""
        assistant = services.get_assistant(principal=principal_of(request), assistant_id=assistant_id)
        rows = Deployment.objects.of(assistant.id).filter(status__in=IN_USE).select_related("version")
        return Response(rendering.render_status(assistant.id, list(rows), scaling.scales_of(assistant.id)))


class DeploymentView(LifecycleView):
    """One of them."""

    scopes = {"GET": ASSISTANTS_READ}
    subject = "deployment_id"

    @extend_schema(operation_id="getDeployment", responses=DeploymentWithSnapshotObject)
    def get(self, request: Request, deployment_id: str) -> Response:
        """Read a deployment, with the snapshot of what it put in service."""
        deployment = deployments.get_deployment(principal=principal_of(request), deployment_id=deployment_id)
        return Response(rendering.render_with_snapshot(deployment))


class DecisionView(LifecycleView):
    """Decide about a deployment."""

    scopes = {"PUT": ASSISTANTS_DEPLOY}
    actions = {"PUT": "deployment.set_status"}
    subject = "deployment_id"
    serializer_class = StatusRequest

    @extend_schema(
        operation_id="setDeploymentStatus",
        request=StatusRequest,
        responses=DeploymentObject,
        examples=[
            example("Approve", {"status": "approved"}),
            example("More threads for a canary", {"percent": 50}),
            example("A canary for all threads", {"status": "active"}),
        ],
    )
    def put(self, request: Request, deployment_id: str) -> Response:
        """Approve or reject a deployment, call it off, complete a canary, or take it out of service.

        `approved` and `rejected` are for one that awaits approval, `cancelled` for one that is not in service for
        all threads yet, `active` for a canary, `retired` for one in service.
        """
        deployment = deployments.set_status(principal=principal_of(request), deployment_id=deployment_id, **self.body())
        return Response(rendering.render_deployment(deployment))


class EnvironmentsView(LifecycleView):
    """Where versions are deployed to."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(operation_id="listEnvironments", responses=EnvironmentList)
    def get(self, request: Request) -> Response:
        """The environments, from the first to the last, and what a deployment there takes."""
        four_eyes = policies.policies_of(principal_of(request))
        data = [rendering.render_environment(each, four_eyes=four_eyes[each]) for each in Environment]
        return Response(enveloped(data))


class EnvironmentView(LifecycleView):
    """One environment."""

    scopes = {"GET": ASSISTANTS_READ, "PUT": ASSISTANTS_PROMOTE}
    actions = {"PUT": "environment.set_policy"}
    subject = "environment"
    serializer_class = PolicyRequest

    @extend_schema(operation_id="getEnvironment", responses=EnvironmentObject)
    def get(self, request: Request, environment: str) -> Response:
        """Read what a deployment to an environment takes."""
        known = _environment(environment)
        four_eyes = policies.policies_of(principal_of(request))[known]
        return Response(rendering.render_environment(known, four_eyes=four_eyes))

    @extend_schema(
        operation_id="setEnvironmentPolicy",
        request=PolicyRequest,
        responses=EnvironmentObject,
        examples=[example("A second person has to agree", {"four_eyes": True})],
    )
    def put(self, request: Request, environment: str) -> Response:
        """Set whether somebody else than who asked has to approve deployments there."""
        known = _environment(environment)
        policy = deployments.set_policy(principal=principal_of(request), environment=known.value, **self.body())
        return Response(rendering.render_environment(known, four_eyes=policy.four_eyes))


def _environment(name: str) -> Environment:
    """:raises ApiError: 404."""
    if name not in Environment.values:
        raise not_found("environment", name)
    return Environment(name)


def _filters(request: Request) -> dict[str, str]:
    """:raises ApiError: 400, a filter has a value that nothing has."""
    asked = {
        name: chosen(request.query_params, name, known)
        for name, known in (("environment", Environment.values), ("status", Deployment.Status.values))
    }
    return {name: value for name, value in asked.items() if value is not None}


fixed = [
    path("assistants/environments", EnvironmentsView.as_view()),
    path("assistants/environments/<str:environment>", EnvironmentView.as_view()),
    path("assistants/deployments/<str:deployment_id>", DeploymentView.as_view()),
    path("assistants/deployments/<str:deployment_id>/status", DecisionView.as_view()),
]
patterns = [
    path("assistants/<str:assistant_id>/deploy", DeployView.as_view()),
    path("assistants/<str:assistant_id>/promote", PromoteView.as_view()),
    path("assistants/<str:assistant_id>/rollback", RollBackView.as_view()),
    path("assistants/<str:assistant_id>/validate", ValidateView.as_view()),
    path("assistants/<str:assistant_id>/scale", ScaleView.as_view()),
    path("assistants/<str:assistant_id>/deployments", DeploymentsView.as_view()),
    path("assistants/<str:assistant_id>/deployment-status", DeploymentStatusView.as_view()),
]
