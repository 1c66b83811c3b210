"""The people of the house: superusers make them; what they may do is in their memberships."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sovereign.accounts import services
from sovereign.accounts.admin.base import OPERATOR, ProjectAdmin
from sovereign.accounts.models import User

PROJECTS_NAMED = 5


class PasswordForm(AdminPasswordChangeForm):
    """A person's password, set by a superuser (``by``)."""

    def __init__(self, *args: Any, by: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by

    def save(self, commit: bool = True) -> User:
        password = self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None
        return services.set_password(user=self.user, password=password, by=self.by)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ProjectAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = PasswordForm
    view_scope = add_scope = change_scope = OPERATOR
    project_path = "memberships__project"
    list_display = ("username", "email", "full_name", "roles", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "is_address_checked")}),
        ("Rights", {"fields": ("is_active", "is_superuser", "roles")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined", "roles", "is_address_checked")
    actions = ("vouch",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        found: QuerySet[User] = super().get_queryset(request).prefetch_related("memberships__project")
        return found

    @admin.display(description="name", ordering="last_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "–"

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        """The first of their projects, with what they are there."""
        held = [f"{one.project.name} ({one.get_role_display()})" for one in user.memberships.all()]
        more = f" and {len(held) - PROJECTS_NAMED} more" if len(held) > PROJECTS_NAMED else ""
        return (", ".join(held[:PROJECTS_NAMED]) + more) or "–"

    @admin.display(description="the address was checked", boolean=True)
    def is_address_checked(self, user: User) -> bool | None:
        """One that an account has of its invitation was not, until its person or a superuser says so."""
        return not user.has_unverified_email if user.email else None

    @admin.action(description="This address was checked", permissions=["change"])
    def vouch(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        number = sum(services.vouch_for_email(user=user, by=request.user.pk) for user in queryset)
        messages.success(
            request,
            f"{number} addresses are checked by now that were not."
            if number != 1
            else "One address is checked by now that was not.",
        )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        services.save_user(user=obj, by=request.user.pk)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        page = copy(self)  # the form is not given the request, and every request has its own person
        page.change_password_form = partial(PasswordForm, by=request.user.pk)  # type: ignore[assignment]
        return super(UserAdmin, page).user_change_password(request, id, form_url)
