from django.apps import AppConfig


class EvaluationsConfig(AppConfig):
    """Sets of cases, run against versions of assistants."""

    name = "runs.evaluations"
    label = "evaluations"

    def ready(self) -> None:
        from assistants.deployments import checks
        from runs.evaluations.chores import check_answers, move_on
        from runs.evaluations.gate import EvaluationGate
        from runs.worker.chores import CHORES

        CHORES["evaluations"] = move_on
        CHORES["evaluation-checks"] = check_answers
        checks.register(EvaluationGate())
