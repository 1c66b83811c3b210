from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """What people have written and nobody has answered yet, because an answer was under way."""

    name = "runs.outbox"
    label = "outbox"

    def ready(self) -> None:
        from runs.outbox.chores import send_due
        from runs.outbox.rendering import queues_of
        from runs.streaming.watcher import beside
        from runs.worker.chores import CHORES

        CHORES["outbox"] = send_due
        beside["queue"] = queues_of
