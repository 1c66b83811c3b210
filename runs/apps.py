from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    label = "runs"

    def ready(self) -> None:
        from assistants.catalog import entries
        from assistants.deployments import checks as deployment_checks
        from assistants.deployments.measures import READERS
        from assistants.popularity import COUNTS
        from inference.engines.pulling import PLACES, pull_next
        from runs.lifecycle import chores
        from runs.lifecycle.comparing import compared
        from runs.lifecycle.smoke import SmokeConversation
        from runs.sandbox import checks  # noqa: F401 (registers them)
        from runs.services.control import cancel_active, lock_runs_of
        from runs.services.counting import runs_of_assistants
        from runs.services.redacting import redact_findings_of, redact_runs_of, told_in
        from runs.tools import CONTRACT_TOOLS
        from runs.worker import exporting, trash
        from runs.worker.chores import CHORES
        from threads import redaction
        from threads.keeping import before_trashing
        from threads.services import before_deletion

        before_deletion.append(lock_runs_of)
        redaction.before_redaction += [redact_runs_of, redact_findings_of]
        redaction.told_in.append(told_in)
        before_trashing.append(cancel_active)
        entries.reasons.update({kind: tool.unavailable for kind, tool in CONTRACT_TOOLS.items()})
        deployment_checks.register(SmokeConversation())
        COUNTS["runs"] = runs_of_assistants
        READERS["runs"] = compared
        CHORES["deployments"] = chores.settle_deployments
        CHORES["canaries"] = chores.watch_canaries
        CHORES["trash"] = trash.empty
        CHORES["exports"] = exporting.write_exports
        CHORES.update({f"pulls-{place}": pull_next for place in range(PLACES)})
