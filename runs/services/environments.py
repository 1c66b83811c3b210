"""Where people's runs are looked up. A key brings its environment; people choose in the chat, as far as they may."""

from __future__ import annotations

from dataclasses import replace

from assistants.kinds import Environment
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY
from sovereign.core.errors import ApiError, forbidden

SHOWN = 64  # characters of what a client sent that an error repeats
DRAFT = "draft"  # an assistant as it was last written, whatever is deployed
USUAL = Environment.PRODUCTION.value
#: Names and titles, the usual one first.
CHOICES: dict[str, str] = {**{item.value: item.label for item in reversed(Environment)}, DRAFT: "Draft"}


def may_choose(principal: Principal) -> bool:
    return principal.user_id is not None and principal.allows(ASSISTANTS_DEPLOY)


def must_be_deployed(principal: Principal) -> bool:
    """Whether nothing else may answer: of people, those who chose a place other than the usual one want just that."""
    return principal.key_id is not None or principal.environment not in (None, USUAL)


def acting_in(principal: Principal, wanted: str | None) -> Principal:
    """The principal in the environment that their run is to be made in.

    A key stays in its own. A person who may not choose gets what is in production, and so does who chooses it; without
    a choice the others get the draft, as an unbound key does. Where nothing is in production, the draft answers; who
    chooses another environment is refused then, see :func:`must_be_deployed`.

    :param wanted: one of ``CHOICES``.
    :raises ApiError: 400, there is no such choice; 403, it is not theirs to make.
    """
    if principal.user_id is None:
        return principal
    if wanted is not None and wanted not in CHOICES:
        raise ApiError(
            f"Invalid environment: '{wanted[:SHOWN]}'. Supported values are: {', '.join(CHOICES)}.",
            param="environment",
            code="invalid_value",
        )
    if not may_choose(principal):
        if wanted not in (None, USUAL):
            raise forbidden(ASSISTANTS_DEPLOY)
        wanted = USUAL
    return replace(principal, environment=None if wanted in (None, DRAFT) else wanted)


def trying(principal: Principal, wanted: str | None) -> str | None:
    """The version that the principal's run is made with, whatever is deployed: people who may choose try any.

    :param wanted: a number or an id. A key has what is deployed, and what it wants is not heard.
    :raises ApiError: 403, it is not theirs to choose.
    """
    if wanted is None or principal.user_id is None:
        return None
    if not may_choose(principal):
        raise forbidden(ASSISTANTS_DEPLOY)
    return wanted
