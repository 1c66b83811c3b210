"""What the pages of evaluations have in common."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from runs.evaluations.models import EvaluationSet
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin, principals_of, projects_allowing
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, EVALUATIONS_READ, EVALUATIONS_WRITE
from sovereign.core.errors import ApiError


def page_of(obj: Model, view: str = "change") -> str:
    return reverse(f"admin:evaluations_{obj._meta.model_name}_{view}", args=[quote(obj.pk)])


def visible(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those that the person sees; a superuser sees all."""
    if getattr(request.user, "is_superuser", False):
        return rows
    manager: Any = rows.model._default_manager
    seen = [manager.visible_to(principal).values("pk") for principal in principals_of(request).values()]
    return rows.filter(pk__in=reduce(or_, seen)) if seen else rows.none()


def may_change_cases(request: HttpRequest, owner: EvaluationSet) -> bool:
    """Whether the person may change the cases of a set, as far as its gates are concerned: see the service."""
    promoting = projects_allowing(request, ASSISTANTS_PROMOTE)
    return not owner.gates or promoting is None or owner.project_id in promoting


class EvaluationPages(ProjectAdmin):
    """A refusal of a service becomes a message, and an entry of the audit log."""

    view_scope = EVALUATIONS_READ
    change_scope = EVALUATIONS_WRITE

    def found(self, request: HttpRequest, object_id: str, *, to_change: bool = True) -> Any:
        """:raises Http404: unknown, or not seen. :raises PermissionDenied: seen only, or the request is no ``POST``."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404("no such object")
        if to_change and (request.method != "POST" or not self.allowed(request, EVALUATIONS_WRITE, obj)):
            raise PermissionDenied
        return obj

    def refused(self, request: HttpRequest, obj: Model, action: str, error: ApiError) -> HttpResponse:
        """Back to the object's page, where it is told."""
        principal = self.principal_for(request, obj)
        audit.refused(principal, action, audit.kind_of(obj), str(obj.pk), error)
        self.message_user(request, error.message, messages.ERROR)
        return HttpResponseRedirect(page_of(obj))
