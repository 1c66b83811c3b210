"""What several services ask before they change anything."""

from __future__ import annotations

from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.core.errors import ApiError, not_found

NAME_LENGTH = 128


def require_in(principal: Principal | None, project_id: str, scope: str, *, owner: bool = False) -> None:
    """The principal must belong to the project and have the scope (and be an owner); the operator may everything.

    :raises ApiError: 404 for another tenant's project, as for an unknown one; 403 otherwise.
    """
    if principal is None:
        return
    if principal.project_id != project_id:
        raise not_found("project", project_id)
    principal.require(scope)
    if owner and principal.role != Role.OWNER:
        raise ApiError("Only an owner of the project may do this.", status=403, code="insufficient_permissions")


def require_text(text: str, *, param: str, longest: int = NAME_LENGTH) -> str:
    """A name that people and databases can read, without white space around it."""
    cleaned = text.strip()
    if not cleaned:
        raise ApiError(f"Invalid '{param}': it must not be empty.", param=param, code="invalid_value")
    if len(cleaned) > longest:
        raise ApiError(
            f"Invalid '{param}': string too long. Expected a string with maximum length {longest}, "
            f"but got a string with length {len(cleaned)} instead.",
            param=param,
            code="string_above_max_length",
        )
    if "\x00" in cleaned or any("\ud800" <= character <= "\udfff" for character in cleaned):
        raise ApiError(f"Invalid '{param}': it has a character that is not allowed.", param=param, code="invalid_value")
    return cleaned
