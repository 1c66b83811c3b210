"""Projects and their members."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminTextInputWidget

from sovereign.accounts import services
from sovereign.accounts.admin.base import OPERATOR, ProjectAdmin, ProjectTabularInline
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.scopes import ASSISTANTS_READ, DESCRIPTIONS, MEMBERS_MANAGE, OF_THE_HOUSE, ROLE_SCOPES, Role
from sovereign.core import times


class MembershipForm(forms.ModelForm):
    """A member by user name: a list to choose from would show everybody in the house to every project."""

    username = forms.CharField(
        label="User name", max_length=150, widget=UnfoldAdminTextInputWidget({"aria-label": "User name"})
    )

    class Meta:
        model = Membership
        fields = ("role",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "role" in self.fields:  # not of who only reads; a table's cell has no label of its own
            self.fields["role"].widget.attrs["aria-label"] = "Role"
        if self.instance.pk:
            self.fields["username"].initial = self.instance.user.username
            self.fields["username"].disabled = True

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if not self.instance.pk:
            user = User.objects.filter(username=username, is_active=True).first()
            if user is None:
                raise forms.ValidationError("Nobody here has this user name.")
            self.instance.user = user
        return username


class MembershipInline(ProjectTabularInline):
    model = Membership
    form = MembershipForm
    readonly_fields = ("joined", "last_seen")
    parent_path = "pk"
    view_scope = ASSISTANTS_READ
    add_scope = change_scope = delete_scope = MEMBERS_MANAGE
    verbose_name = "member"
    verbose_name_plural = "members"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """When somebody was here last is for who manages the members."""
        is_managed = obj is not None and self.allowed(request, MEMBERS_MANAGE, obj)
        return ("username", "role", "joined", "last_seen") if is_managed else ("username", "role", "joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("user")

    @admin.display(description="since")
    def joined(self, membership: Membership) -> str:
        return times.shown(membership.created_at) if membership.pk else ""

    @admin.display(description="last login")
    def last_seen(self, membership: Membership) -> str:
        if not membership.pk:
            return ""
        seen = membership.user.last_login
        return times.shown(seen) if seen is not None else "never"


@admin.register(Project)
class ProjectsAdmin(ProjectAdmin):
    project_path = "pk"
    view_scope = ASSISTANTS_READ
    add_scope = OPERATOR
    change_scope = MEMBERS_MANAGE
    list_display = ("name", "id", "created_at", "archived_at")
    search_fields = ("name", "id")
    fields = ("name", "allows_shared_links", "id", "created_at", "archived_at")
    readonly_fields = ("id", "created_at", "archived_at")
    inlines = (MembershipInline,)
    change_form_outer_after_template = "admin/accounts/roles.html"
    actions = ("archive", "restore")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **_what_roles_may()})

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else self.inlines  # whoever makes a project is its first owner

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name",) if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        if not change:
            owner = User.objects.get(username=request.user.get_username())
            made = services.create_project(name=obj.name, owner=owner, principal=self.principal_for(request, obj))
            obj.pk = made.pk
            obj.refresh_from_db()
            return
        principal, given = self.principal_for(request, obj), form.cleaned_data
        if "name" in form.changed_data:
            services.rename_project(project=obj, name=given["name"], principal=principal)
        if "allows_shared_links" in form.changed_data:
            services.allow_shared_links(project=obj, is_allowed=given["allows_shared_links"], principal=principal)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        principal = self.principal_for(request, form.instance)
        formset.save(commit=False)  # sorts the rows into new, changed and deleted ones
        for new in formset.new_objects:
            services.add_member(project=form.instance, user=new.user, role=new.role, principal=principal)
        changed = [membership for membership, _ in formset.changed_objects]
        for membership in sorted(
            changed, key=lambda row: row.role != Role.OWNER
        ):  # a new owner before the old one goes
            services.set_role(membership=membership, role=membership.role, principal=principal)
        for membership in formset.deleted_objects:
            services.remove_member(membership=membership, principal=principal)

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, MEMBERS_MANAGE)

    @admin.action(description="Archive: keys and members are refused", permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        for project in queryset:
            services.archive_project(project=project, principal=self.principal_for(request, project))
        self.message_user(request, "Archived. A superuser can restore it.", messages.SUCCESS)

    @admin.action(description="Restore", permissions=["archive"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        for project in queryset:
            services.restore_project(project=project, principal=self.principal_for(request, project))
        self.message_user(request, "Restored.", messages.SUCCESS)


def _what_roles_may() -> dict[str, Any]:
    """Every right in words, and whether each of the roles has it; those of the whole house are no role's."""
    rights = [scope for scope in DESCRIPTIONS if scope not in OF_THE_HOUSE]
    return {
        "roles": [role.label for role in Role],
        "rights": [(DESCRIPTIONS[scope], [scope in ROLE_SCOPES[role] for role in Role.values]) for scope in rights],
    }
