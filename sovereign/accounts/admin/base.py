"""What every admin class of a tenant's rows derives from: permissions, rows and choices follow from memberships.

Django's own permission tables are not asked. A superuser sees all projects with all rights; anybody else sees the
rows of the projects in which their role has ``view_scope``, and changes those where it has the other scopes. Changes
themselves go through services, which check the principal again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import get_language
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import StackedInline, TabularInline
from unfold.decorators import display

from sovereign.accounts import audit
from sovereign.accounts.admin.lists import (
    MOST_COUNTED,
    BoundedPaginator,
    QuickChangeList,
    choosing_markup,
    looks_like_id,
    quick,
)
from sovereign.accounts.admin.saved_filters import SavedFilters
from sovereign.accounts.credentials import principal_of_membership
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, Role
from sovereign.core.errors import ApiError

OPERATOR = "operator"  # a scope that no role has: superusers only


def principals_of(request: HttpRequest) -> dict[str, Principal]:
    """The person's principal in each project they belong to; read once a request."""
    cached: dict[str, Principal] | None = getattr(request, "_principals", None)
    if cached is None:
        memberships = Membership.objects.in_force().filter(user_id=request.user.pk or 0)  # 0: the login page
        cached = {membership.project_id: principal_of_membership(membership) for membership in memberships}
        request._principals = cached  # type: ignore[attr-defined]
    return cached


def principal_for(request: HttpRequest, project_id: str) -> Principal:
    """Who the person is in this project, for a call of a service.

    :raises PermissionDenied: nobody.
    """
    if is_superuser(request):
        return Principal(project_id=project_id, user_id=request.user.pk, role=Role.OWNER, scopes=ALL_SCOPES)
    principal = principals_of(request).get(project_id)
    if principal is None:
        raise PermissionDenied
    return principal


def projects_allowing(request: HttpRequest, scope: str | None) -> set[str] | None:
    """The ids of the projects where the person has ``scope``; ``None`` stands for all of them."""
    if scope is None:
        return set()
    if is_superuser(request):
        return None
    return {project_id for project_id, principal in principals_of(request).items() if principal.allows(scope)}


def known(request: HttpRequest, rows: Any) -> Any:
    """``rows`` as far as they are ``known_to`` the person in each of their projects."""
    if is_superuser(request):
        return rows
    return reduce(lambda left, principal: left.known_to(principal), principals_of(request).values(), rows)


def visible(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those that the person sees in any of their projects; a superuser sees all."""
    if is_superuser(request):
        return rows
    manager: Any = rows.model._default_manager
    seen = [manager.visible_to(principal).values("pk") for principal in principals_of(request).values()]
    return rows.filter(pk__in=reduce(or_, seen)) if seen else rows.none()


def page_of(obj: models.Model, view: str = "change") -> str:
    """The address of a row's page."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{view}", args=[quote(obj.pk)])


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


class ProjectPermissions(BaseModelAdmin):
    """Permissions, rows and choices; shared by admin classes and inlines.

    ``None`` as a scope means that it is not offered here, to nobody.
    """

    view_scope: str
    add_scope: str | None = None
    change_scope: str | None = None
    delete_scope: str | None = None
    project_path = "project"  # how the rows lead to their project: "project", "thread__project", "pk"
    parent_path: str | None = None  # inlines: how the parent does, where that differs

    def allowed(self, request: HttpRequest, scope: str | None, obj: models.Model | None = None) -> bool:
        projects = projects_allowing(request, scope)
        if projects is None:
            return True
        return bool(projects) if obj is None else self.project_id_of(obj) in projects

    def project_id_of(self, obj: models.Model) -> str | None:
        """The project of a row (for inlines: of their parent), by ``project_path``."""
        *way, last = (self.parent_path or self.project_path).split("__")
        target: Any = obj
        for step in way:
            target = getattr(target, step, None)
        if last in ("pk", "project_id"):
            return getattr(target, last, None)
        return getattr(target, f"{last}_id", None)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, self.view_scope)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.allowed(request, self.view_scope, obj)

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.allowed(request, self.add_scope, obj)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.allowed(request, self.change_scope, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.allowed(request, self.delete_scope, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        projects = projects_allowing(request, self.view_scope)
        return queryset if projects is None else queryset.filter(**{f"{self.project_path}__in": projects})

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        """What a foreign key may be set to: rows that the person sees, and projects where they may write."""
        related = db_field.remote_field.model
        if related is Project:
            return _writable_projects(request, self.add_scope or self.change_scope)
        registered = self.admin_site._registry.get(related)
        if isinstance(registered, ProjectPermissions):
            return registered.get_queryset(request)
        if related is User:
            return _colleagues(request)
        if _has_project(related):
            projects = projects_allowing(request, self.view_scope)
            return (
                related._default_manager.all()
                if projects is None
                else related._default_manager.filter(project__in=projects)
            )
        return super().get_field_queryset(db, db_field, request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and field.queryset is not None and db_field.remote_field.model is Project:
            only = list(field.queryset[:2])
            if len(only) == 1:  # nothing to choose
                field.initial, field.empty_label = only[0].pk, None
        return field


class ServiceAdmin(SavedFilters):
    """A page whose changes go through services: their refusals become messages. Its list reads no whole table."""

    paginator: Any = BoundedPaginator
    list_per_page = 50  # a row takes the templates some milliseconds
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count whole tables
    empty_words = ""  # what would stand in its list, and what brings it: shown while there is nothing

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return QuickChangeList

    @display(description=UnfoldModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: models.Model) -> str:
        """The theme's own; to render its template for each row took a tenth of a page's time."""
        return format_html(choosing_markup(get_language()), obj.pk)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Who looks for an id means that one: indexes find it, where likenesses are looked for row by row."""
        exact = [field.removeprefix("=") for field in self.get_search_fields(request) if field.startswith("=")]
        if exact and looks_like_id(search_term.strip()):
            wanted = reduce(or_, (models.Q(**{field: search_term.strip()}) for field in exact))
            return queryset.filter(wanted), False
        return super().get_search_results(request, queryset, search_term)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Filters over relations offer only what the person's own rows have: no other tenant's names."""
        return tuple(quick(self.model, item) for item in super().get_list_filter(request))

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase | None:
        """Who chooses all rows means those that were counted: where there are more, nothing is done to any."""
        is_all = forms.BooleanField(required=False).to_python(request.POST.get("select_across"))
        if is_all and getattr(self.get_paginator(request, queryset, self.list_per_page), "is_cut", False):
            words = f"There are more than {MOST_COUNTED:,}. Filter or search until there are fewer, then choose all."
            self.message_user(request, words, messages.ERROR)
            return None
        answer: HttpResponseBase | None = super().response_action(request, queryset)
        return answer

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:  # one by one, so that each goes through its service
            self.delete_model(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changelist_view, *args, **kwargs)

    def _told(self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = view(request, *args, **kwargs)
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return response


class ProjectAdmin(ProjectPermissions, ServiceAdmin):
    """The base of every admin class of rows that belong to a project.

    Subclasses name their scopes and override ``save_model`` and ``delete_model`` to call services with
    ``self.principal_for(request, obj)``. An ``ApiError`` of a service becomes a message.
    """

    def principal_for(self, request: HttpRequest, obj: models.Model) -> Principal:
        """:raises PermissionDenied: the person does not belong to the row's project."""
        project_id = self.project_id_of(obj)
        if project_id is None:
            raise PermissionDenied
        return principal_for(request, project_id)

    def found(self, request: HttpRequest, object_id: str, *, to_change: bool = True) -> Any:
        """What a page of its own, or a button's ``POST``, is about.

        :raises Http404: unknown, or not seen. :raises PermissionDenied: seen only, or the request is no ``POST``.
        """
        obj = self.get_object(request, unquote(object_id))
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404("no such object")
        if to_change and (request.method != "POST" or not self.allowed(request, self.change_scope, obj)):
            raise PermissionDenied
        return obj

    def refused(self, request: HttpRequest, obj: models.Model, action: str, error: ApiError) -> HttpResponse:
        """A service's refusal: into the audit log, and told on the row's page."""
        audit.refused(self.principal_for(request, obj), action, audit.kind_of(obj), str(obj.pk), error)
        self.message_user(request, error.message, messages.ERROR)
        return HttpResponseRedirect(page_of(obj))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        scope = self.change_scope if change else self.add_scope
        if not self.allowed(request, scope, obj):  # editable lists ask without the row
            raise PermissionDenied
        super().save_model(request, obj, form, change)

    def set_project(self, request: HttpRequest, obj: Any) -> None:
        """Give a new row its project where the form did not ask, because there is only one to choose."""
        if not self._has_own_project_field() or obj.project_id is not None:
            return
        choices = list(_writable_projects(request, self.add_scope)[:2])
        if len(choices) != 1:
            raise ApiError("Choose a project.", param="project", code="missing_required_parameter")
        obj.project = choices[0]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is not None and self._has_own_project_field() and "project" not in fields:
            return (*fields, "project")  # a row never moves to another tenant
        return fields

    def projects_seen(self, request: HttpRequest) -> QuerySet[Project]:
        """Those whose rows the person sees here."""
        projects = projects_allowing(request, self.view_scope)
        return Project.objects.all() if projects is None else Project.objects.filter(pk__in=projects)

    def _has_own_project_field(self) -> bool:
        return self.project_path == "project" and _has_project(self.model)


class ProjectTabularInline(ProjectPermissions, TabularInline):
    """An inline of a ``ProjectAdmin``: ``parent_path`` leads from the parent to the project."""

    extra = 0
    parent_path = "project"


class ProjectStackedInline(ProjectPermissions, StackedInline):
    """As ``ProjectTabularInline``."""

    extra = 0
    parent_path = "project"


def _has_project(model: type[models.Model]) -> bool:
    try:
        field = model._meta.get_field("project")
    except FieldDoesNotExist:
        return False
    return field.is_relation and field.related_model is Project


def _writable_projects(request: HttpRequest, scope: str | None) -> QuerySet[Project]:
    projects = projects_allowing(request, scope)
    active = Project.objects.active()
    return active if projects is None else active.filter(pk__in=projects)


def _colleagues(request: HttpRequest) -> QuerySet[User]:
    if is_superuser(request):
        return User.objects.all()
    return User.objects.filter(memberships__project__in=list(principals_of(request))).distinct()
