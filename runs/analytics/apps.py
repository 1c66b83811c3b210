from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    """How assistants do."""

    name = "runs.analytics"
    label = "analytics"

    def ready(self) -> None:
        from runs.analytics import chores
        from runs.analytics.counting import count_thread
        from runs.worker.chores import CHORES
        from threads.services import before_deletion

        before_deletion.append(count_thread)
        CHORES["rollups"] = chores.roll_up
        CHORES["grades"] = chores.keep_grades
