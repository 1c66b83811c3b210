"""Invitations: made with a form, the link shown once (and mailed where mail is set up), revoked by an action."""

from __future__ import annotations

from functools import partial
from smtplib import SMTPException
from typing import Any, cast

import structlog
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display

from sovereign.accounts import services
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.models import Invitation
from sovereign.accounts.querysets import InvitationQuerySet
from sovereign.accounts.scopes import MEMBERS_MANAGE
from sovereign.core import times

log = structlog.get_logger(__name__)

STATE_LABELS = {"open": "success", "accepted": "info", "expired": "warning", "revoked": "default"}
MAIL = """\
{inviter} invites you to the project "{project}" on Sovereign.

Open this link to join. It is good for seven days, and for one person:

{link}

If you do not know what this is about, ignore it: nothing happens then.
"""


class InvitationForm(forms.ModelForm):
    class Meta:
        model = Invitation
        fields = ("email", "project", "role")


@admin.register(Invitation)
class InvitationAdmin(ProjectAdmin):
    form = InvitationForm
    view_scope = add_scope = MEMBERS_MANAGE
    empty_words = "People come into a project by a link. Make one for the first of them."
    list_display = ("email", "project", "role", "state", "made_by", "created", "until", "accepted_by")
    list_filter = ("project", "role")
    list_select_related = ("project", "created_by", "accepted_by")
    search_fields = ("email",)
    fields = ("email", "project", "role")
    shown_fields = ("email", "project", "role", "state", "made_by", "created", "until", "accepted_at", "accepted_by")
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        return cast(InvitationQuerySet, super().get_queryset(request)).backed()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown_fields

    @display(description="state", label=STATE_LABELS)
    def state(self, invitation: Any) -> str:
        return "revoked" if invitation.state == "open" and not invitation.is_backed else invitation.state

    @admin.display(description="made by", ordering="created_by")
    def made_by(self, invitation: Invitation) -> str:
        return str(invitation.created_by) if invitation.created_by is not None else "the operator"

    @admin.display(description="made", ordering="created_at")
    def created(self, invitation: Invitation) -> str:
        return times.shown(invitation.created_at)

    @admin.display(description="good until", ordering="expires_at")
    def until(self, invitation: Invitation) -> str:
        return times.shown(invitation.expires_at)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal = self.principal_for(request, obj)
        made, secret = services.invite(project=obj.project, email=obj.email, role=obj.role, principal=principal)
        obj.pk = made.pk
        obj.refresh_from_db()
        link = f"{settings.SOVEREIGN.base_url}{reverse('invitation', args=[secret])}"
        request._invitation_link = link  # type: ignore[attr-defined]
        if settings.SOVEREIGN.email_url:
            transaction.on_commit(partial(_send, obj, link, str(request.user)))

    def response_add(self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None) -> HttpResponse:
        """The link stands on this one page: a message would carry it through a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Invitation",
            "opts": self.opts,
            "invitation": obj,
            "link": request._invitation_link,  # type: ignore[attr-defined]
            "is_mailed": bool(settings.SOVEREIGN.email_url),
        }
        return TemplateResponse(
            request, "admin/accounts/new_invitation.html", context, headers={"Cache-Control": "no-store"}
        )

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, MEMBERS_MANAGE)

    @admin.action(description="Revoke the selected invitations", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        for invitation in queryset:
            services.revoke_invitation(invitation=invitation, principal=self.principal_for(request, invitation))
        self.message_user(request, "Nobody comes by them any more.", messages.SUCCESS)


def _send(invitation: Invitation, link: str, inviter: str) -> None:
    """Mail the link. What goes wrong is logged: who made it has the link on the page."""
    body = MAIL.format(inviter=inviter, project=invitation.project.name, link=link)
    subject = f"Invitation to {' '.join(invitation.project.name.split())}"
    try:
        EmailMessage(subject, body, to=[invitation.email]).send()
    except (SMTPException, OSError) as error:
        log.warning("invitation_not_mailed", invitation=invitation.pk, error=type(error).__name__)
