"""Versions in service: deploying, trying, promoting, rolling back. The API, the admin and workers come through here."""

from assistants.deployments import content_checks  # noqa: F401  (registers them)
from assistants.deployments.activation import begin_due, roll_back_canary, settle
from assistants.deployments.decisions import get_deployment, set_status
from assistants.deployments.deploying import deploy, promote, validate
from assistants.deployments.policies import set_policy
from assistants.deployments.rollback import roll_back
from assistants.deployments.scaling import scale

__all__ = [
    "begin_due",
    "deploy",
    "get_deployment",
    "promote",
    "roll_back",
    "roll_back_canary",
    "scale",
    "set_policy",
    "set_status",
    "settle",
    "validate",
]
