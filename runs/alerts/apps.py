"""Alerts: rules on metrics, what they found, and who is told."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Telling people what they asked to be told of."""

    name = "runs.alerts"
    label = "alerts"

    def ready(self) -> None:
        from runs.alerts.chores import forget, send_notifications, tell_when_behind, watch_rules
        from runs.worker.chores import CHORES

        CHORES["alerts"] = watch_rules
        CHORES["alerts-behind"] = tell_when_behind
        CHORES["notifications"] = send_notifications
        CHORES["forgotten-alerts"] = forget
