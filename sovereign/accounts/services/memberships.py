"""People join a project, change their role in it and leave it. A project with members never loses its last owner."""

from __future__ import annotations

from django.db.models import Q

from sovereign.accounts import audit, scopes
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.accounts.services.guards import require_in
from sovereign.accounts.services.people import keep_staff_in_step
from sovereign.core.database import service
from sovereign.core.errors import ApiError


@service
def add_member(
    *, project: Project, user: User, role: str = Role.VIEWER, principal: Principal | None = None
) -> Membership:
    """:raises ApiError: no right to, an unknown role, or already a member."""
    role = _known_role(role)
    require_in(principal, project.pk, scopes.MEMBERS_MANAGE, owner=role == Role.OWNER)
    _lock(project.pk)
    membership, created = Membership.objects.get_or_create(project=project, user=user, defaults={"role": role})
    if not created:
        raise ApiError(f"{user} is already a member of this project.", param="user", code="already_member")
    audit.record(principal, "membership.created", membership, user=user.pk, role=role)
    keep_staff_in_step(user.pk)
    return membership


@service
def set_role(*, membership: Membership, role: str, principal: Principal | None = None) -> Membership:
    """:raises ApiError: no right to, an unknown role, or it would take the last owner's ownership."""
    role = _known_role(role)
    current = _current(membership)
    concerns_ownership = Role.OWNER in (role, current.role)
    require_in(principal, current.project_id, scopes.MEMBERS_MANAGE, owner=concerns_ownership)
    if role == current.role:
        return current
    _keep_an_owner(current)
    before, current.role = current.role, role
    current.save(update_fields=["role"])
    audit.record(principal, "membership.changed", current, user=current.user_id, role=role, before=before)
    keep_staff_in_step(current.user_id)
    return current


@service
def remove_member(*, membership: Membership, principal: Principal | None = None) -> None:
    """Members may leave by themselves; everybody else's going needs the right.

    :raises ApiError: no right to, or the last owner.
    """
    current = _current(membership)
    leaves = principal is not None and principal.user_id == current.user_id
    if not leaves or (principal and principal.project_id != current.project_id):
        owner = current.role == Role.OWNER
        require_in(principal, current.project_id, scopes.MEMBERS_MANAGE, owner=owner)
    _keep_an_owner(current)
    audit.record(principal, "membership.removed", current, user=current.user_id, role=current.role)
    current.delete()
    keep_staff_in_step(current.user_id)


def member_named(*, principal: Principal, name: str) -> int | None:
    """The id of the person of the principal's project who has this user name, or this id; ``None`` for nobody."""
    members = Membership.objects.visible_to(principal)
    by_id = Q(user_id=int(name)) if name.isascii() and name.isdigit() and len(name) < 19 else Q(pk__in=[])
    return members.filter(Q(user__username=name) | by_id).values_list("user_id", flat=True).first()


def _known_role(role: str) -> str:
    if role not in Role.values:
        raise ApiError(f"Unknown role: '{role}'.", param="role", code="invalid_value")
    return str(role)


def _lock(project_id: str) -> None:
    """Changes of one project's members happen one after the other: two owners cannot remove each other at once."""
    Project.objects.select_for_update(no_key=True).get(pk=project_id)


def _current(membership: Membership) -> Membership:
    _lock(membership.project_id)
    current = Membership.objects.filter(pk=membership.pk).first()
    if current is None:
        raise ApiError("This person is no member of the project any more.", status=404, code="not_found")
    return current


def _keep_an_owner(membership: Membership) -> None:
    if membership.role != Role.OWNER:
        return
    others = Membership.objects.filter(project_id=membership.project_id, role=Role.OWNER).exclude(pk=membership.pk)
    if not others.exists():
        raise ApiError("A project needs an owner. Make somebody else an owner first.", param="role", code="last_owner")
