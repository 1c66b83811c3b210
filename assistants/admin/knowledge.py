"""What an assistant knows, on its page: files are dropped there, and it is seen how far they are read."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from assistants import services
from assistants.api.fields import ToolField
from assistants.knowledge.admin import receiving, wording
from assistants.knowledge.admin.contents import as_json, contents
from assistants.knowledge.models import Purpose, VectorStore
from assistants.models import Assistant
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import ASSISTANTS_WRITE, FILES_WRITE, STORES_READ, STORES_WRITE
from sovereign.core.database import now

ADDRESS = "admin:assistants_assistant_knowledge"


class KnowledgeOnPage(ProjectAdmin):
    """The section "Knowledge" of an assistant's page; the page itself derives from this."""

    change_form_template = "admin/assistants/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.knowledge_view)
        return [path("<path:object_id>/knowledge/", view, name="assistants_assistant_knowledge"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        assistant = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if assistant is not None and self.allowed(request, STORES_READ, assistant):
            context["knowledge"] = self._section(request, assistant)
        return super().change_view(request, object_id, form_url, context)

    def knowledge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: what it knows, for the script. ``POST``: files for it, which bring all that a search needs."""
        assistant = self.get_object(request, unquote(object_id))
        if assistant is None or not self.allowed(request, STORES_READ, assistant):
            raise Http404("no such assistant")
        if request.method != "POST":
            return as_json(self._contents(request, assistant))
        if not self._may_add(request, assistant):
            raise PermissionDenied
        return receiving.respond(
            request,
            lambda: self._received(request, assistant),
            following=_page_of(assistant) + "#knowledge",
            where=f"part of what {assistant} knows, and will be read",
        )

    def _received(self, request: HttpRequest, assistant: Assistant) -> receiving.Received:
        principal = self.principal_for(request, assistant)
        tool = ToolField().run_validation({"type": "file_search"})

        def learn(file_id: str) -> None:
            services.add_knowledge(principal=principal, assistant_id=assistant.pk, file_ids=[file_id], search_tool=tool)

        received = receiving.receive(request, principal=principal, purpose=Purpose.ASSISTANTS, use=learn)
        assistant.refresh_from_db(fields=["tools"])
        received.more["tools"] = json.dumps(assistant.tools, indent=2, ensure_ascii=False)
        return received

    def _may_add(self, request: HttpRequest, assistant: Assistant) -> bool:
        return all(self.allowed(request, scope, assistant) for scope in (ASSISTANTS_WRITE, FILES_WRITE, STORES_WRITE))

    def _contents(self, request: HttpRequest, assistant: Assistant) -> dict[str, Any]:
        store = store_of(assistant)
        may_change = self.allowed(request, STORES_WRITE, assistant)
        return contents(request, store, may_change=may_change, address=_page_of(assistant))

    def _section(self, request: HttpRequest, assistant: Assistant) -> dict[str, Any]:
        context = self._contents(request, assistant)
        store = context["store"]
        return {
            **context,
            "may_add": self._may_add(request, assistant),
            "is_expired": store is not None and wording.is_expired(store, now()),
            "searches": any(tool["type"] == "file_search" for tool in assistant.tools),
            "contents_address": reverse(ADDRESS, args=[quote(assistant.pk)]),
        }


def store_of(assistant: Assistant) -> VectorStore | None:
    """The store that it searches, if there still is one."""
    held = assistant.tool_resources.get("file_search", {}).get("vector_store_ids", [])
    stores = VectorStore.objects.filter(project_id=assistant.project_id, pk__in=held[:1])
    return stores.first() if held else None


def _page_of(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)])
