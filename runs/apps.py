from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    label = "runs"

    def ready(self) -> None:
        from runs.services.control import lock_runs_of
        from threads.services import before_deletion

        before_deletion.append(lock_runs_of)
