"""Invitations: a link brings one person into a project, within a week. The secret leaves this module once."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from sovereign.accounts import audit, tokens
from sovereign.accounts.models import Invitation, Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import MEMBERS_MANAGE, Role
from sovereign.accounts.services.guards import require_in, require_text
from sovereign.accounts.services.memberships import add_member
from sovereign.accounts.services.people import register_person
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

LIFETIME = timedelta(days=7)
OPEN_AT_ONCE = 500  # of one project
EMAIL_LENGTH = 254  # characters
NO_SUCH = "This invitation is not good any more: it was used, revoked, or is older than a week. Ask for another."


@service
def invite(
    *, project: Project, email: str, role: str = Role.VIEWER, principal: Principal | None = None
) -> tuple[Invitation, str]:
    """A new invitation, and its secret: show it once, it is stored nowhere.

    :raises ApiError: no right to, no email address, an unknown role, or too many are open.
    """
    if role not in Role.values:
        raise ApiError("Unknown role.", param="role", code="invalid_value")
    require_in(principal, project.pk, MEMBERS_MANAGE, owner=role == Role.OWNER)
    address = _address(email)
    moment = now()
    if Invitation.objects.in_force(moment).filter(project=project).count() >= OPEN_AT_ONCE:
        raise ApiError(f"{OPEN_AT_ONCE} invitations are open. Revoke some of them first.", code="too_many_invitations")
    secret = tokens.new_ticket()
    invitation = Invitation.objects.create(
        project=project,
        email=address,
        role=role,
        digest=tokens.digest_of(secret),
        created_by_id=principal.user_id if principal else None,
        is_by_operator=principal is None,
        created_at=moment,
        expires_at=moment + LIFETIME,
    )
    audit.record(principal, "invitation.created", invitation, email=address, role=role)
    return invitation, secret


@service
def revoke_invitation(*, invitation: Invitation, principal: Principal | None = None) -> Invitation:
    """Nobody comes by it any more. Revoking twice, or after it was used, changes nothing."""
    require_in(principal, invitation.project_id, MEMBERS_MANAGE)
    unused = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if unused.update(revoked_at=now()):
        audit.record(principal, "invitation.revoked", invitation, email=invitation.email)
    invitation.refresh_from_db()
    return invitation


def find_invitation(secret: str) -> Invitation:
    """:raises ApiError: 404 for one that is unknown, used, revoked, too old, into an archived project, or of somebody
    who may not make it any more.
    """
    good = Invitation.objects.in_force(now()).filter(digest=tokens.digest_of(secret))
    invitation = good.select_related("project", "created_by").first()
    if invitation is None:
        raise ApiError(NO_SUCH, status=404, code="invitation_not_found")
    return invitation


@service
def accept_invitation(*, secret: str, user: User) -> Membership:
    """Let a person in, once. Of two who come at the same time one does.

    :raises ApiError: 404 as ``find_invitation``; the person is a member already, and the invitation stays good.
    """
    invitation = find_invitation(secret)
    if Membership.objects.filter(project=invitation.project, user=user).exists():
        raise ApiError("You are a member of this project already.", param="user", code="already_member")
    membership = add_member(project=invitation.project, user=user, role=invitation.role)
    moment = now()  # the project's members are locked now: its maker's role is what it is
    good = Invitation.objects.in_force(moment).filter(pk=invitation.pk)
    if not good.update(accepted_at=moment, accepted_by=user):
        raise ApiError(NO_SUCH, status=404, code="invitation_not_found")
    audit.record_of_person(user.pk, "invitation.accepted", invitation, role=invitation.role)
    return membership


@service
def register_invited(
    *, secret: str, username: str, password: str | None, email: str = "", **names: str
) -> tuple[User, Membership]:
    """Somebody new comes by an invitation: the person and their membership, or neither.

    :param password: ``None`` where they log in elsewhere.
    :param email: their own, where it was verified; else they have the invitation's, which is not.
    :param names: as ``register_person`` has them.
    :raises ApiError: as ``accept_invitation`` and ``register_person``.
    """
    address = email or find_invitation(secret).email
    user = register_person(username=username, email=address, is_verified=bool(email), password=password, **names)
    return user, accept_invitation(secret=secret, user=user)


def _address(email: str) -> str:
    address = require_text(email, param="email", longest=EMAIL_LENGTH)
    try:
        validate_email(address)
    except ValidationError:
        raise ApiError("This is no email address.", param="email", code="invalid_value") from None
    return address
