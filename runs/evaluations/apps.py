from django.apps import AppConfig


class EvaluationsConfig(AppConfig):
    """Sets of cases, run against versions of assistants."""

    name = "runs.evaluations"
    label = "evaluations"

    def ready(self) -> None:
        from assistants.deployments import checks
        from runs.evaluations.chores import check_answers, move_on
        from runs.evaluations.gate import EvaluationGate
        from runs.evaluations.services import redacting
        from runs.worker.chores import CHORES
        from threads.redaction import before_redaction, taken_over, told_in

        CHORES["evaluations"] = move_on
        CHORES["evaluation-checks"] = check_answers
        checks.register(EvaluationGate())
        taken_over.append(redacting.taken_over)
        told_in.append(redacting.told_in)
        before_redaction.append(redacting.redact_cases_of)
