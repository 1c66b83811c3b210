"""Who may do what where: analysts try things out, administrators decide what people are answered by."""

from __future__ import annotations

from http import HTTPStatus

from assistants.kinds import Environment
from assistants.models import Deployment
from sovereign.accounts.models import ApiKey
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, ASSISTANTS_PROMOTE
from sovereign.core.errors import ApiError

SCOPE_OF: dict[str, str] = {
    Environment.DEVELOPMENT.value: ASSISTANTS_DEPLOY,
    Environment.TESTING.value: ASSISTANTS_DEPLOY,
    Environment.STAGING.value: ASSISTANTS_PROMOTE,
    Environment.PRODUCTION.value: ASSISTANTS_PROMOTE,
}


def require(principal: Principal, environment: str) -> None:
    """:raises ApiError: 403, it is not the principal's to decide what is deployed there."""
    principal.require(SCOPE_OF[environment])


def require_second_person(principal: Principal, deployment: Deployment) -> None:
    """Approval is a person's, and not of the one who asked, be it with a key of theirs.

    :raises ApiError: 403 ``four_eyes``.
    """
    if principal.user_id is None:
        raise _four_eyes("A key cannot approve a deployment: a person has to, signed in.")
    if principal.user_id == _asker(deployment):
        raise _four_eyes("You asked for this deployment yourself: somebody else has to approve it.")


def _asker(deployment: Deployment) -> int | None:
    """The person who asked, or whose key did."""
    if deployment.asked_by_user is not None or deployment.asked_by_key is None:
        return deployment.asked_by_user
    maker: int | None = ApiKey.objects.filter(pk=deployment.asked_by_key).values_list("created_by", flat=True).first()
    return maker


def _four_eyes(message: str) -> ApiError:
    return ApiError(message, status=HTTPStatus.FORBIDDEN, param="status", code="four_eyes")
