"""The people of the house: superusers make them; what they may do is in their memberships."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sovereign.accounts import services
from sovereign.accounts.admin.base import OPERATOR, ProjectAdmin
from sovereign.accounts.models import User


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
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        services.save_user(user=obj, by=request.user.pk)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        page = copy(self)  # the form is not given the request, and every request has its own person
        page.change_password_form = partial(PasswordForm, by=request.user.pk)  # type: ignore[assignment]
        return super(UserAdmin, page).user_change_password(request, id, form_url)
