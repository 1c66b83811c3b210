"""``/api/v1/alerts``: fixed words go before those where an alert's id may stand."""

from django.urls import path

from runs.alerts.api import views

RULE = "alerts/rules/<str:alert_rule_id>"
ALERT = "alerts/<str:alert_id>"

urlpatterns = [
    path("alerts", views.AlertsView.as_view(), name="alerts"),
    path("alerts/rules", views.RulesView.as_view(), name="alert-rules"),
    path(RULE, views.RuleView.as_view(), name="alert-rule"),
    path(f"{RULE}/test", views.RuleTestView.as_view(), name="alert-rule-test"),
    path(f"{RULE}/notifications", views.RuleNotificationsView.as_view(), name="alert-rule-notifications"),
    path(ALERT, views.AlertView.as_view(), name="alert"),
    path(f"{ALERT}/acknowledge", views.AcknowledgeView.as_view(), name="alert-acknowledge"),
    path(f"{ALERT}/notifications", views.AlertNotificationsView.as_view(), name="alert-notifications"),
]
