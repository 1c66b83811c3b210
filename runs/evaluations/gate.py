"""The check before deployments: the sets that are gates of the environment, run against the version, pass."""

from __future__ import annotations

from collections.abc import Iterable

from assistants.deployments import checks
from assistants.deployments.checks import Finding, Verdict, failed, passed, pending
from assistants.models import Deployment
from runs.evaluations.models import EvaluationRun, EvaluationSet
from runs.evaluations.services.running import queue, usable_run
from sovereign.accounts import audit
from sovereign.core.errors import ApiError

NO_GATE = "No evaluation stands before this environment."
CANCELLED = "The run of the evaluation '{}' was cancelled."
CHANGED = "The cases of the evaluation '{}' have changed meanwhile."
AGAIN = "Deploy the version again: the evaluation is run anew."
MEND = "See which fail in the evaluation's run {}, and publish a version that is better."
RETRY = "See why in the evaluation's run {}, and run the evaluation again when that is mended."
EMPTY = "The evaluation '{}' stands before {} and has no cases."
FILL = "Add cases to it, or take it away as a gate."


class EvaluationGate:
    name = "evaluation"
    title = "Evaluations"
    environments = checks.EVERYWHERE  # each set says where it stands

    def begin(self, deployment: Deployment) -> Finding:
        """Run what was not run against this version yet."""
        findings = []
        for owner in self._gates(deployment, lock=True):
            if usable_run(owner, deployment.version) is None:
                try:
                    run = queue(owner, deployment.version, None, deployment_id=deployment.id)
                except ApiError:  # without cases, which is found below
                    pass
                else:
                    audit.record(None, "evaluation.run_started", owner, run=run.id, version=deployment.version.number)
            findings.append(self._found(owner, deployment))
        return self._all(findings)

    def look(self, deployment: Deployment) -> Finding:
        return self._all([self._found(owner, deployment) for owner in self._gates(deployment)])

    def _gates(self, deployment: Deployment, *, lock: bool = False) -> list[EvaluationSet]:
        sets = EvaluationSet.objects.gates_of(deployment.assistant_id, deployment.project_id)
        if lock:
            sets = sets.select_for_update(no_key=True)
        return [owner for owner in sets if owner.gates.get(deployment.environment) is not None]

    def _found(self, owner: EvaluationSet, deployment: Deployment) -> Finding:
        """What one set says of the version."""
        run = usable_run(owner, deployment.version)
        if run is None:
            return self._without_run(owner, deployment)
        if not run.is_over:
            done = run.passed + run.failed + run.errored
            return pending(self, f"'{owner}' is being run: {done} of {run.total} cases are done.")
        wanted, rate = owner.gates[deployment.environment], run.pass_rate or 0.0
        told = f"'{owner}': {run.passed} of {run.total} cases pass ({rate:.0%}), {wanted:.0%} have to"
        if rate >= wanted:
            return passed(self, f"{told}.")
        more = f" {run.errored} could not be tried." if run.errored else ""
        return failed(self, f"{told}.{more}", (RETRY if run.errored else MEND).format(run.id))

    def _without_run(self, owner: EvaluationSet, deployment: Deployment) -> Finding:
        if not owner.cases.exists():
            return failed(self, EMPTY.format(owner, deployment.environment), FILL)
        if all(finding["name"] != self.name for finding in deployment.checks):  # it was not begun for it
            return pending(self, f"'{owner}' has to be run against this version first.")
        earlier = EvaluationRun.objects.filter(set=owner, version=deployment.version)
        is_cancelled = earlier.filter(revision=owner.revision).exists()
        return failed(self, (CANCELLED if is_cancelled else CHANGED).format(owner), AGAIN)

    def _all(self, findings: Iterable[Finding]) -> Finding:
        """One finding: the first that failed, else one that is pending, else all that passed."""
        listed = [*findings]
        for verdict in (Verdict.FAILED, Verdict.PENDING):
            if found := [finding for finding in listed if finding.verdict == verdict]:
                fix = " ".join(dict.fromkeys(finding.fix for finding in found if finding.fix))
                detail = " ".join(finding.detail for finding in found)
                return Finding(name=self.name, title=self.title, verdict=verdict, detail=detail, fix=fix)
        return passed(self, " ".join(finding.detail for finding in listed) or NO_GATE)
