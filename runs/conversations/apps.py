from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Talking to an assistant one message at a time."""

    name = "runs.conversations"
    label = "conversations"

    def ready(self) -> None:
        from runs.conversations.chores import PLACES, sum_up
        from runs.conversations.claims import mark_thread
        from runs.conversations.services import setting_of, told_in, variables_of
        from runs.services.creation import before_running, remembered
        from runs.worker.chores import CHORES
        from threads import redaction
        from threads.services import after_forgetting

        before_running.append(setting_of)
        remembered.append(variables_of)
        after_forgetting.append(mark_thread)
        redaction.told_in.append(told_in)
        CHORES.update({f"summaries-{place}": sum_up for place in range(PLACES)})
