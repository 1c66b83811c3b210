"""MCP servers: registered by administrators, asked for their tools, and what is allowed of these."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from assistants.catalog import services
from assistants.catalog.admin.listed import LISTED, rows
from assistants.catalog.models import McpServer
from assistants.catalog.services.servers import Described, apply_description
from sovereign.accounts.admin.base import ProjectAdmin, principal_for
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.scopes import ASSISTANTS_READ, TOOLS_MANAGE
from sovereign.core import times
from sovereign.core.asgi import LaterResponse
from sovereign.core.errors import ApiError

DESCRIBED = tuple(Described.__annotations__)
OPERATORS = ("inner_network", "key_variable")  # fields that superusers alone decide about


class ServerForm(CarefulForm):
    request: HttpRequest

    new_key = forms.CharField(
        label="Credential",
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Kept encrypted, sent to the address above and to nobody else, and never shown again.",
    )
    forget_key = forms.BooleanField(label="Forget the credential", required=False, widget=UnfoldBooleanSwitchWidget)

    class Meta:
        model = McpServer
        fields = (*DESCRIBED, "project")
        labels = {
            "inner_network": "In the inner network",
            "key_variable": "Variable with the credential",
            "timeout": "Seconds for an answer",
            "approval": "A person agrees",
        }
        help_texts = {
            "label": "Its tools are called label__tool: small letters, digits and '_'.",
            "url": "Of its Streamable HTTP endpoint, such as https://tools.example.org/mcp.",
            "enabled": "Only then is it asked for anything.",
            "inner_network": "Its address may be one of your own network or of this machine, and http.",
            "header": "Authorization sends the credential as a bearer token; any other header sends it as it is.",
            "key_variable": "In place of a credential kept here: a variable of every process, such as TOOLS_API_KEY. "
            "SOVEREIGN_KEY_VARIABLES says which host it is for.",
            "timeout": "For one listing or one call, 1 to 300.",
            "approval": "Whether a call waits until somebody has agreed to it. At the tools above it is ticked for "
            "which of them: all, until somebody unticks one.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.sealed_key and "new_key" in self.fields:
            self.fields["new_key"].label = "New credential"
            self.fields["new_key"].widget.attrs["placeholder"] = "One is set. Type another to replace it."

    def given_key(self) -> str | None:
        """As ``services.update_server`` wants it."""
        if self.cleaned_data.get("forget_key"):
            return ""
        return self.cleaned_data.get("new_key") or None

    def described(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in DESCRIBED if name in self.cleaned_data}

    def clean(self) -> dict[str, Any]:
        """Ask the service, and say what it refuses at the field that is wrong."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        project_id = self.instance.project_id or cleaned["project"].pk
        described: Any = self.described()
        try:
            principal = principal_for(self.request, project_id)
            apply_description(copy(self.instance), principal=principal, key=self.given_key(), **described)
        except ApiError as error:
            field = "new_key" if error.param == "key" else error.param
            self.add_error(field if field in self.fields else None, error.message)
        return cleaned


@admin.register(McpServer)
class McpServerAdmin(CarefulChanges, ProjectAdmin):
    form = ServerForm
    view_scope = ASSISTANTS_READ
    empty_words = "An MCP server brings tools of its own. Register one, then allow what assistants may use."
    add_scope = change_scope = delete_scope = TOOLS_MANAGE
    list_display = ("label", "host", "state", "tools_shown", "approval", "listed", "last_error", "project")
    list_filter = ("project", "enabled")
    list_select_related = ("project",)
    search_fields = ("label", "url", "=id")
    search_help_text = "Label, address or id"
    list_before_template = "admin/catalog/servers.html"
    change_form_outer_before_template = "admin/catalog/server.html"
    readonly_fields = ("id", "created_at", "updated_at", "key_state")
    fieldsets = (
        (None, {"fields": (("label", "project"), "url", "inner_network", "enabled")}),
        ("Credential", {"fields": ("key_state", "new_key", "forget_key", "header", "key_variable"),
                        "description": "It belongs to its address: with another address it has to be typed again."}),
        ("Calls", {"fields": (("approval", "timeout"),)}),
        ("About", {"classes": ("collapse",), "fields": ("id", ("created_at", "updated_at"))}),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        views = {"tools": self.tools_view, "refresh": self.refresh_view}
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"catalog_mcpserver_{name}")
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    # ------------------------------------------------------------------------------------- the form

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.request = request
        return form

    def get_fieldsets(self, request: HttpRequest, obj: McpServer | None = None) -> Any:
        hidden = set() if obj is not None and obj.sealed_key else {"forget_key"}
        if obj is None:
            hidden |= {"key_state"}
        if not self.has_change_permission(request, obj):
            hidden |= {"new_key", "forget_key"}
        fieldsets = [(title, {**part, "fields": [field for field in part["fields"] if field not in hidden]})
                     for title, part in self.fieldsets]  # fmt: skip
        return fieldsets[:-1] if obj is None else fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if getattr(request.user, "is_superuser", False) else (*fields, *OPERATORS)

    def save_model(self, request: HttpRequest, obj: McpServer, form: Any, change: bool) -> None:
        self.set_project(request, obj)
        principal, described = self.principal_for(request, obj), form.described()
        if change:
            services.update_server(principal=principal, server_id=obj.pk, key=form.given_key(), **described)
        else:
            obj.pk = services.create_server(principal=principal, key=form.given_key() or "", **described).pk
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: McpServer, post_url_continue: str | None = None) -> HttpResponse:
        """To its page: its tools come next."""
        self.message_user(request, f"{obj} is registered. Ask it for its tools, and allow them.", messages.SUCCESS)
        return HttpResponseRedirect(_page_of(obj.pk))

    def delete_model(self, request: HttpRequest, obj: McpServer) -> None:
        services.delete_server(principal=self.principal_for(request, obj), server_id=obj.pk)

    # ------------------------------------------------------------------------------------- its tools

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        server = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if server is not None and self.has_view_permission(request, server):
            context |= {
                "server": server,
                "rows": rows(server),
                "may_change": self.has_change_permission(request, server),
                "asks_for_some": server.approval == McpServer.Approval.LISTED,
                "tools_address": reverse("admin:catalog_mcpserver_tools", args=[quote(server.pk)]),
                "refresh_address": reverse("admin:catalog_mcpserver_refresh", args=[quote(server.pk)]),
            }
        return super().change_view(request, object_id, form_url, context)

    def tools_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Allow what is ticked, as it was shown."""
        server = self._to_change(request, object_id)
        ticked = [value.partition(" ") for value in request.POST.getlist("allow")]
        seen = {name: digest for digest, _, name in ticked}
        try:
            services.allow_tools(
                principal=self.principal_for(request, server),
                server_id=server.pk,
                allowed=seen,
                unasked=_unasked(request, server, seen),
            )
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, f"{len(seen)} of {len(server.tools)} tools are allowed.", messages.SUCCESS)
        return HttpResponseRedirect(_page_of(server.pk) + "#tools")

    def refresh_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Ask the server for its tools: the event loop waits for it, and no thread."""
        return LaterResponse(partial(_refreshed, self._to_change(request, object_id).pk))

    def _to_change(self, request: HttpRequest, object_id: str) -> McpServer:
        """:raises Http404: unknown, or not seen by the person. :raises PermissionDenied: seen only."""
        server: McpServer | None = self.get_object(request, unquote(object_id))
        if server is None or not self.has_view_permission(request, server):
            raise Http404("no such server")
        if request.method != "POST" or not self.has_change_permission(request, server):
            raise PermissionDenied
        return server

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="address", ordering="url")
    def host(self, server: McpServer) -> str:
        return urlsplit(server.url).netloc

    @display(description="state", label={"ready": "success", "disabled": "default", "not asked yet": "info",
                                         "no answer": "danger", "tools changed": "warning"})  # fmt: skip
    def state(self, server: McpServer) -> str:
        if not server.enabled:
            return "disabled"
        if server.listing_error:
            return "no answer"
        if any(server.has_changed(tool) for tool in server.tools):
            return "tools changed"
        return "ready" if server.listed_at else "not asked yet"

    @admin.display(description="tools")
    def tools_shown(self, server: McpServer) -> str:
        allowed = sum(server.is_allowed(tool) for tool in server.tools)
        return f"{allowed} of {len(server.tools)} allowed"

    @admin.display(description="listed", ordering="listed_at")
    def listed(self, server: McpServer) -> str:
        return times.shown(server.listed_at) if server.listed_at else "never"

    @admin.display(description="last error")
    def last_error(self, server: McpServer) -> str:
        return server.listing_error or "–"

    @admin.display(description="credential")
    def key_state(self, server: McpServer) -> str:
        if server.key_variable:
            return f"from the environment variable {server.key_variable}"
        return "set" if server.sealed_key else "none"


def _unasked(request: HttpRequest, server: McpServer, seen: dict[str, str]) -> set[str]:
    """The tools that nobody is asked about: unticked, or as it was while the form has no boxes for it."""
    if LISTED in request.POST:
        return set(seen) - set(request.POST.getlist("approve"))
    return {name for name in server.unasked_tools if seen.get(name) == server.allowed.get(name)}


async def _refreshed(server_id: str) -> HttpResponse:
    await services.refresh_listing(server_id)
    return HttpResponseRedirect(_page_of(server_id) + "#tools")


def _page_of(server_id: str) -> str:
    return reverse("admin:catalog_mcpserver_change", args=[quote(server_id)])
