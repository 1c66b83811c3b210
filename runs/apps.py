from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    label = "runs"

    def ready(self) -> None:
        from assistants.catalog import entries
        from assistants.deployments import checks as deployment_checks
        from assistants.deployments.measures import READERS
        from assistants.popularity import COUNTS
        from runs.lifecycle import chores
        from runs.lifecycle.comparing import compared
        from runs.lifecycle.smoke import SmokeConversation
        from runs.sandbox import checks  # noqa: F401 (registers them)
        from runs.services.control import lock_runs_of
        from runs.services.counting import runs_of_assistants
        from runs.tools import CONTRACT_TOOLS
        from runs.worker.chores import CHORES
        from threads.services import before_deletion

        before_deletion.append(lock_runs_of)
        entries.reasons.update({kind: tool.unavailable for kind, tool in CONTRACT_TOOLS.items()})
        deployment_checks.register(SmokeConversation())
        COUNTS["runs"] = runs_of_assistants
        READERS["runs"] = compared
        CHORES["deployments"] = chores.settle_deployments
        CHORES["canaries"] = chores.watch_canaries
