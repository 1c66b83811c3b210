"""Who may do what where: analysts try things out, administrators decide what people are answered by."""

from __future__ import annotations

from http import HTTPStatus

from assistants.kinds import GUARDED, Environment
from assistants.models import Deployment, EnvironmentPolicy
from sovereign.accounts.models import ApiKey
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, ASSISTANTS_PROMOTE, Role
from sovereign.core.errors import ApiError

SCOPE_OF: dict[str, str] = {
    name: ASSISTANTS_PROMOTE if name in GUARDED else ASSISTANTS_DEPLOY for name in Environment.values
}


def require(principal: Principal, environment: str) -> None:
    """:raises ApiError: 403, it is not the principal's to decide what is deployed there."""
    principal.require(SCOPE_OF[environment])


def needs_approval(deployment: Deployment) -> bool:
    """Whether the policy of its environment asks for a second person now."""
    policies = EnvironmentPolicy.objects.filter(project_id=deployment.project_id, environment=deployment.environment)
    return policies.filter(four_eyes=True).exists()


def require_second_person_again(principal: Principal, deployment: Deployment) -> None:
    """More threads for what was approved for a part of them is decided by four eyes, too.

    :raises ApiError: 403 ``four_eyes``.
    """
    if deployment.approved_at is not None or needs_approval(deployment):
        require_second_person(principal, deployment)


def require_second_person(principal: Principal, deployment: Deployment) -> None:
    """Approval is a person's, and not of the one who asked, be it with a key of theirs.

    :raises ApiError: 403 ``four_eyes``.
    """
    if principal.user_id is None:
        raise _four_eyes("A key cannot approve a deployment: a person has to, signed in.")
    if principal.user_id == _asker(deployment):
        raise _four_eyes("You asked for this deployment yourself: somebody else has to approve it.")


def require_owner(principal: Principal) -> None:
    """Who would have to be approved does not lift the rule that asks for it.

    :raises ApiError: 403 ``four_eyes``.
    """
    if principal.user_id is None or principal.role != Role.OWNER:
        raise _four_eyes("Only an owner of the project, signed in, lifts the approval by a second person.", "four_eyes")


def _asker(deployment: Deployment) -> int | None:
    """The person who asked, or whose key did."""
    if deployment.asked_by_user is not None or deployment.asked_by_key is None:
        return deployment.asked_by_user
    maker: int | None = ApiKey.objects.filter(pk=deployment.asked_by_key).values_list("created_by", flat=True).first()
    return maker


def _four_eyes(message: str, param: str = "status") -> ApiError:
    return ApiError(message, status=HTTPStatus.FORBIDDEN, param=param, code="four_eyes")
