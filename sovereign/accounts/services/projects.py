"""Projects are made, renamed and archived. An archived project answers nobody, and can be restored."""

from __future__ import annotations

from django.utils import timezone

from sovereign.accounts import audit, scopes
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.accounts.services.guards import require_in, require_text
from sovereign.accounts.services.people import keep_staff_in_step
from sovereign.core.database import service


@service
def create_project(*, name: str, owner: User | None = None, principal: Principal | None = None) -> Project:
    """A new project, ``owner`` being its first member. Whether somebody may make projects is the caller's to know."""
    project = Project.objects.create(name=require_text(name, param="name"))
    audit.record(principal, "project.created", project, name=project.name)
    if owner is not None:
        membership = Membership.objects.create(project=project, user=owner, role=Role.OWNER)
        audit.record(principal, "membership.created", membership, user=owner.pk, role=membership.role)
        keep_staff_in_step(owner.pk)
    return project


@service
def rename_project(*, project: Project, name: str, principal: Principal | None = None) -> Project:
    require_in(principal, project.pk, scopes.MEMBERS_MANAGE)
    project.name = require_text(name, param="name")
    project.save(update_fields=["name"])
    audit.record(principal, "project.renamed", project, name=project.name)
    return project


@service
def allow_shared_links(*, project: Project, is_allowed: bool, principal: Principal | None = None) -> Project:
    """Whether members may share conversations by links. Forbidden, the links that there are open nothing; allowed
    again, those that nobody revoked do.
    """
    require_in(principal, project.pk, scopes.MEMBERS_MANAGE)
    changed = Project.objects.filter(pk=project.pk, allows_shared_links=not is_allowed)
    if changed.update(allows_shared_links=is_allowed):
        audit.record(principal, "project.sharing_allowed" if is_allowed else "project.sharing_forbidden", project)
    project.refresh_from_db()
    return project


@service
def archive_project(*, project: Project, principal: Principal | None = None) -> Project:
    require_in(principal, project.pk, scopes.MEMBERS_MANAGE, owner=True)
    if Project.objects.active().filter(pk=project.pk).update(archived_at=timezone.now()):
        audit.record(principal, "project.archived", project)
    project.refresh_from_db()
    return project


@service
def restore_project(*, project: Project, principal: Principal | None = None) -> Project:
    require_in(principal, project.pk, scopes.MEMBERS_MANAGE, owner=True)
    if Project.objects.filter(pk=project.pk).exclude(archived_at=None).update(archived_at=None):
        audit.record(principal, "project.restored", project)
    project.refresh_from_db()
    return project
