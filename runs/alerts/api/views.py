from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.alerts import services
from runs.alerts.api import objects
from runs.alerts.api.serializers import AcknowledgeRequest, AlertRuleChange, AlertRuleRequest
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.rendering import render_alert, render_notification, render_rule
from sovereign.accounts.api.audited import AuditedView
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ALERTS_WRITE, ANALYTICS_READ
from sovereign.accounts.services.idempotency import RETRIED_WITHIN
from sovereign.core.api.filters import chosen
from sovereign.core.api.pagination import BY_CREATION, page_of, paginate
from sovereign.core.api.schema import PAGE_PARAMETERS

EVERY_RIGHT = {"GET": ANALYTICS_READ, "POST": ALERTS_WRITE, "PUT": ALERTS_WRITE, "DELETE": ALERTS_WRITE}
OF_ASSISTANT = OpenApiParameter("assistant_id", str, description="Only those of this assistant.")
WITH_STATE = OpenApiParameter(
    "state", {"type": "string", "enum": Alert.State.values}, description="Only those in this state."
)
RULE_EXAMPLE = OpenApiExample(
    "More than one run in twenty fails",
    value={
        "name": "Support fails",
        "assistant_id": "asst_…",
        "environment": "production",
        "metric": "error_rate",
        "direction": "above",
        "threshold": 0.05,
        "clear_threshold": 0.02,
        "window_minutes": 30,
        "minimum_runs": 20,
        "severity": "critical",
        "emails": ["oncall@example.org"],
        "webhook_url": "https://hooks.example.org/sovereign",
    },
    request_only=True,
)


class RulesView(AuditedView):
    """Make and list rules."""

    scopes = EVERY_RIGHT
    serializer_class = AlertRuleRequest
    subject = "alert_rule_id"
    actions = {"POST": "alert_rule.create"}
    answers_kept = RETRIED_WITHIN  # the answer holds a secret: for no longer than a retry needs it

    @extend_schema(
        operation_id="createAlertRule",
        request=AlertRuleRequest,
        responses=objects.AlertRuleObject,
        examples=[RULE_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Make a rule.

        The metric is compared about every 30 seconds. Beyond the threshold an alert begins, and everybody whom the
        rule names is told; so they are when it ends.
        """
        written = services.create_rule(principal=principal_of(request), **self.body())
        return Response(render_rule(written.rule, reveals=True, secret=written.secret))

    @extend_schema(
        operation_id="listAlertRules", parameters=[*PAGE_PARAMETERS, OF_ASSISTANT], responses=objects.AlertRuleList
    )
    def get(self, request: Request) -> Response:
        """List rules."""
        principal = principal_of(request)
        rules, reveals = AlertRule.objects.visible_to(principal), principal.allows(ALERTS_WRITE)
        if assistant_id := request.query_params.get("assistant_id"):
            rules = rules.filter(assistant_id=assistant_id)
        page = page_of(request.query_params)
        return Response(
            paginate(rules, page, order_by=BY_CREATION, render=lambda rule: render_rule(rule, reveals=reveals))
        )


class RuleView(AuditedView):
    """Read, change and delete a rule."""

    scopes = EVERY_RIGHT
    serializer_class = AlertRuleChange
    partial_body = True
    subject = "alert_rule_id"
    actions = {"PUT": "alert_rule.update", "DELETE": "alert_rule.delete"}

    @extend_schema(operation_id="getAlertRule", responses=objects.AlertRuleObject)
    def get(self, request: Request, alert_rule_id: str) -> Response:
        """Read a rule."""
        principal = principal_of(request)
        rule = services.get_rule(principal=principal, rule_id=alert_rule_id)
        return Response(render_rule(rule, reveals=principal.allows(ALERTS_WRITE)))

    @extend_schema(
        operation_id="updateAlertRule",
        request=AlertRuleChange(partial=True),
        responses=objects.AlertRuleObject,
        examples=[OpenApiExample("Later", value={"threshold": 0.1, "clear_threshold": 0.05}, request_only=True)],
    )
    def put(self, request: Request, alert_rule_id: str) -> Response:
        """Change a rule: the fields that are sent. Where something else is watched now, its alert is over."""
        written = services.update_rule(principal=principal_of(request), rule_id=alert_rule_id, **self.body())
        return Response(render_rule(written.rule, reveals=True, secret=written.secret))

    @extend_schema(operation_id="deleteAlertRule", responses=objects.DeletedAlertRule)
    def delete(self, request: Request, alert_rule_id: str) -> Response:
        """Delete a rule. Its alert is over; alerts stay in the list for half a year."""
        services.delete_rule(principal=principal_of(request), rule_id=alert_rule_id)
        return Response({"id": alert_rule_id, "object": "alert.rule.deleted", "deleted": True})


class RuleTestView(AuditedView):
    """Try whether those whom a rule names are reached."""

    scopes = EVERY_RIGHT
    subject = "alert_rule_id"
    actions = {"POST": "alert_rule.test"}

    @extend_schema(operation_id="testAlertRule", request=None, responses=objects.NotificationList)
    def post(self, request: Request, alert_rule_id: str) -> Response:
        """Send a test.

        It is sent in the background: what becomes of it stands in the list of the rule's notifications. A rule is
        tested once a minute.
        """
        notices = services.try_rule(principal=principal_of(request), rule_id=alert_rule_id)
        shown = [render_notification(notice) for notice in notices]
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]}
        return Response({"object": "list", "data": shown, **ends, "has_more": False})


class RuleNotificationsView(AuditedView):
    """What was sent of a rule."""

    scopes = EVERY_RIGHT
    subject = "alert_rule_id"

    @extend_schema(
        operation_id="listAlertRuleNotifications", parameters=PAGE_PARAMETERS, responses=objects.NotificationList
    )
    def get(self, request: Request, alert_rule_id: str) -> Response:
        """List what was sent of a rule, tests included."""
        rule = services.get_rule(principal=principal_of(request), rule_id=alert_rule_id)
        notices = Notification.objects.filter(rule=rule)
        return Response(
            paginate(notices, page_of(request.query_params), order_by=BY_CREATION, render=render_notification)
        )


class AlertsView(AuditedView):
    """List alerts."""

    scopes = EVERY_RIGHT
    subject = "alert_id"

    @extend_schema(
        operation_id="listAlerts", parameters=[*PAGE_PARAMETERS, WITH_STATE, OF_ASSISTANT], responses=objects.AlertList
    )
    def get(self, request: Request) -> Response:
        """List alerts, those that are over included."""
        alerts = Alert.objects.visible_to(principal_of(request))
        if (state := chosen(request.query_params, "state", Alert.State.values)) is not None:
            alerts = alerts.filter(state=state)
        if assistant_id := request.query_params.get("assistant_id"):
            alerts = alerts.filter(assistant_id=assistant_id)
        return Response(paginate(alerts, page_of(request.query_params), order_by=BY_CREATION, render=render_alert))


class AlertView(AuditedView):
    """Read an alert."""

    scopes = EVERY_RIGHT
    subject = "alert_id"

    @extend_schema(operation_id="getAlert", responses=objects.AlertObject)
    def get(self, request: Request, alert_id: str) -> Response:
        """Read an alert."""
        return Response(render_alert(services.get_alert(principal=principal_of(request), alert_id=alert_id)))


class AcknowledgeView(AuditedView):
    """Say that somebody sees to an alert."""

    scopes = EVERY_RIGHT
    serializer_class = AcknowledgeRequest
    subject = "alert_id"
    actions = {"POST": "alert.acknowledge"}

    @extend_schema(
        operation_id="acknowledgeAlert",
        request=AcknowledgeRequest,
        responses=objects.AlertObject,
        examples=[OpenApiExample("Known", value={"note": "The engine is being restarted."}, request_only=True)],
    )
    def post(self, request: Request, alert_id: str) -> Response:
        """Acknowledge an alert. It stays open until the metric is back; those whom the rule names are told."""
        alert = services.acknowledge(principal=principal_of(request), alert_id=alert_id, **self.body())
        return Response(render_alert(alert))


class AlertNotificationsView(AuditedView):
    """What was sent of an alert."""

    scopes = EVERY_RIGHT
    subject = "alert_id"

    @extend_schema(
        operation_id="listAlertNotifications", parameters=PAGE_PARAMETERS, responses=objects.NotificationList
    )
    def get(self, request: Request, alert_id: str) -> Response:
        """List what was sent of an alert."""
        alert = services.get_alert(principal=principal_of(request), alert_id=alert_id)
        notices = Notification.objects.filter(alert=alert)
        return Response(
            paginate(notices, page_of(request.query_params), order_by=BY_CREATION, render=render_notification)
        )
