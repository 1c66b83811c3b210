"""All checks of a deployment together: begun, looked at again, and told to who asked for what is not ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction

from assistants.deployments.checks import CHECKS, Check, Finding, Verdict, failed, required
from assistants.models import Deployment
from sovereign.core.errors import ApiError

Findings = list[dict[str, Any]]


def begin(deployment: Deployment) -> Findings:
    """Begin all that has to be tried, unless what can be looked at has failed already: then nothing is begun.

    The deployment is stored; what the checks set of it is to be saved, with what is returned as its ``checks``.
    """
    deployment.checks = []  # what was looked at before it was asked for is no trial that was begun
    found = look(deployment)
    if any(finding["verdict"] == Verdict.FAILED for finding in found):
        return found
    begun = []
    for finding in found:
        check = CHECKS[finding["name"]]
        is_to_begin = finding["verdict"] == Verdict.PENDING
        begun.append(_begun(check, deployment).as_json() if is_to_begin else finding)
    return begun


def look(deployment: Deployment) -> Findings:
    """What is known of every check that the environment asks for."""
    return [_asked(check, check.look, deployment).as_json() for check in required(deployment.environment)]


def look_again(deployment: Deployment) -> Findings:
    """What its checks found, those that were pending asked anew; one that this process does not know stays so."""
    return [_again(deployment, finding) for finding in deployment.checks]


def _again(deployment: Deployment, finding: dict[str, Any]) -> dict[str, Any]:
    check = CHECKS.get(finding["name"])
    if finding["verdict"] != Verdict.PENDING or check is None:
        return finding
    return _asked(check, check.look, deployment).as_json()


def _begun(check: Check, deployment: Deployment) -> Finding:
    """A refusal on the way leaves nothing behind."""

    def begin(deployment: Deployment) -> Finding:
        with transaction.atomic():
            return check.begin(deployment)

    return _asked(check, begin, deployment)


def _asked(check: Check, question: Callable[[Deployment], Finding], deployment: Deployment) -> Finding:
    """What it says; a refusal on the way is what it found. Looking opens no transaction: it is done again and again."""
    try:
        return question(deployment)
    except ApiError as refused:
        return failed(check, refused.message, "Mend this, and deploy again.")


def of_verdict(findings: Iterable[dict[str, Any]], verdict: str) -> Findings:
    return [finding for finding in findings if finding["verdict"] == verdict]


def not_ready(deployment: Deployment, findings: Findings) -> ApiError:
    """What is told of a version that failed: every check, and how to pass those that it did not."""
    missing = of_verdict(findings, Verdict.FAILED)
    told = " ".join(f"{finding['title']}: {finding['detail']} {finding['fix']}".strip() for finding in missing)
    return ApiError(
        f"Version {deployment.version.number} is not ready for {deployment.environment}. {told}",
        param="version",
        code="not_ready",
        details={"checks": findings},
    )


def summary(findings: Findings) -> str:
    """Why a deployment failed, for its ``reason``."""
    return " ".join(f"{finding['title']}: {finding['detail']}" for finding in of_verdict(findings, Verdict.FAILED))
