"""The versions of an assistant in the admin: publishing, what changed, and bringing one back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from assistants.admin.changes import shown
from assistants.admin.tabs import VERSIONS as PAGE
from assistants.admin.tabs import tabs
from assistants.models import Assistant, AssistantVersion, Deployment, LifeStatus
from assistants.models.versions import NOTES_LENGTH
from assistants.services import places, versions
from assistants.services.versions import DRAFT
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.models import ApiKey, User
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core.errors import ApiError
from sovereign.core.visible import visible

LISTED = 50  # versions a page
ROUTE = "<path:object_id>/versions/"
VERSION_PAGE = "admin:assistants_assistant_version"
RESTORE = "admin:assistants_assistant_restore"


class PublishForm(forms.Form):
    notes = forms.CharField(label="What is new in it", required=False, max_length=NOTES_LENGTH)
    as_written = forms.BooleanField(label="They are meant as they stand", required=False)

    def refuse(self, error: ApiError) -> None:
        """Say what the service refused at the field that is wrong."""
        if error.code == "unknown_variable":
            self.add_error("as_written", "Take them out, or say that they are meant so: nothing fills them in.")
        else:
            self.add_error(error.param if error.param in self.fields else None, error.message)


class VersionsOnPage(ProjectAdmin):
    """The pages of an assistant's versions; the page of the assistant itself derives from this."""

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "versions": ("", self.versions_view),
            "version": ("<str:version>/", self.version_view),
            "restore": ("<str:version>/restore/", self.restore_view),
        }
        own = [
            path(f"{ROUTE}{route}", self.admin_site.admin_view(view), name=f"assistants_assistant_{name}")
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: what was published, and what the draft would bring. ``POST``: the draft is published."""
        assistant = self._versioned(request, object_id)
        address = reverse(PAGE, args=[quote(assistant.pk)])
        form = PublishForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid() and self._publish_draft(request, assistant, form):
            return HttpResponseRedirect(address)
        listed, has_older = _listed(assistant, request.GET.get("below", ""))
        newest = versions.newest_version(assistant)
        compared = versions.compare(
            principal=self.principal_for(request, assistant),
            assistant_id=assistant.pk,
            version=DRAFT,
            against=newest.id if newest is not None else None,
        )
        context = {
            "title": f"Versions of {assistant}",
            "newest": newest,
            "base": versions.parent_of_draft(assistant),
            "changes": shown(compared.changes),
            "rows": _rows(assistant, listed),
            "older": f"{address}?below={listed[-1].number}" if has_older else None,
            "form": form,
            "unfilled": _unfilled(assistant),
        }
        return self._versions_page(request, assistant, "admin/assistants/versions.html", context)

    def version_view(self, request: HttpRequest, object_id: str, version: str) -> HttpResponse:
        """One version: what it has in place of ``?against=``, or of its parent; and all that it holds."""
        assistant = self._versioned(request, object_id)
        against = request.GET.get("against") or None
        principal = self.principal_for(request, assistant)
        try:
            found = versions.get_version(principal=principal, assistant_id=assistant.pk, version=version)
            compared = versions.compare(
                principal=principal, assistant_id=assistant.pk, version=found.id, against=against
            )
        except ApiError as error:
            raise Http404(error.message) from None
        numbers = AssistantVersion.objects.of(assistant.pk).exclude(pk=found.pk).values_list("number", flat=True)
        context = {
            "title": f"Version {found.number} of {assistant}",
            "version": _rows(assistant, [found])[0],
            "against": str(compared.before.number)
            if isinstance(compared.before, AssistantVersion)
            else compared.before,
            "choices": [DRAFT, *map(str, numbers[:LISTED])],
            "changes": shown(compared.changes),
            "content": visible(json.dumps(found.content, indent=2, ensure_ascii=False)),
        }
        return self._versions_page(request, assistant, "admin/assistants/version.html", context)

    def restore_view(self, request: HttpRequest, object_id: str, version: str) -> HttpResponse:
        assistant = self._versioned(request, object_id)
        if request.method != "POST":
            raise PermissionDenied
        address = reverse(VERSION_PAGE, args=[quote(assistant.pk), version])
        is_done = self._tried(
            request, assistant, "assistant.restore", lambda: self._restore_version(request, assistant, version)
        )
        return HttpResponseRedirect(_page_of(assistant) if is_done else f"{address}?against={DRAFT}")

    # ------------------------------------------------------------------------------------- helpers

    def _versioned(self, request: HttpRequest, object_id: str) -> Assistant:
        """:raises Http404: unknown, or one that the person does not see."""
        assistant: Assistant | None = self.get_object(request, unquote(object_id))
        if assistant is None or not self.has_view_permission(request, assistant):
            raise Http404("no such assistant")
        return assistant

    def _versions_page(
        self, request: HttpRequest, assistant: Assistant, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        common = {
            **self.admin_site.each_context(request),
            "assistant": assistant,
            "tabs": tabs(request, assistant, PAGE),
            "address": _page_of(assistant),
            "versions_address": reverse(PAGE, args=[quote(assistant.pk)]),
            "may_change": self.allowed(request, ASSISTANTS_WRITE, assistant),
            "is_archived": assistant.status == LifeStatus.ARCHIVED,
        }
        return TemplateResponse(request, template, {**common, **context})

    def _tried(self, request: HttpRequest, assistant: Assistant, wish: str, change: Callable[[], None]) -> bool:
        """Do it, or say and record why not."""
        try:
            change()
        except ApiError as error:
            audit.refused(self.principal_for(request, assistant), wish, "assistant", assistant.pk, error)
            self.message_user(request, error.message, messages.ERROR)
            return False
        return True

    def _publish_draft(self, request: HttpRequest, assistant: Assistant, form: PublishForm) -> bool:
        """Do it, or say in the form and record why not."""
        principal, expected = self.principal_for(request, assistant), request.POST.get("expected_version", "")
        try:
            version = versions.publish(
                principal=principal,
                assistant_id=assistant.pk,
                expected_version=int(expected) if expected.isascii() and expected.isdigit() else None,
                **form.cleaned_data,
            )
        except ApiError as error:
            audit.refused(principal, "assistant.publish", "assistant", assistant.pk, error)
            form.refuse(error)
            return False
        self.message_user(request, f"Version {version.number} is published.", messages.SUCCESS)
        return True

    def _restore_version(self, request: HttpRequest, assistant: Assistant, version: str) -> None:
        versions.restore(principal=self.principal_for(request, assistant), assistant_id=assistant.pk, version=version)
        told = "The draft is what the version was. It is in no environment before it is published and deployed."
        self.message_user(request, told, messages.SUCCESS)


def _page_of(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)])


def _unfilled(assistant: Assistant) -> list[tuple[str, str, str]]:
    """What of the draft names variables that nothing fills in: the field, its address, and which these are."""
    found = places.unfilled({field: getattr(assistant, field) for field in places.FIELDS})
    page = _page_of(assistant)
    return [(field.capitalize(), f"{page}#id_{field}", places.listed(names)) for field, names in found.items()]


def _listed(assistant: Assistant, below: str) -> tuple[list[AssistantVersion], bool]:
    """The newest versions, or those below a number; and whether there are older ones."""
    published = AssistantVersion.objects.of(assistant.pk).defer("content").select_related("parent").order_by("-number")
    if below.isascii() and below.isdigit() and len(below) <= versions.DIGITS:
        published = published.filter(number__lt=int(below))
    listed = list(published[: LISTED + 1])
    return listed[:LISTED], len(listed) > LISTED


def _rows(assistant: Assistant, listed: Iterable[AssistantVersion]) -> list[dict[str, Any]]:
    listed = list(listed)
    people = User.objects.in_bulk({version.published_by_user for version in listed if version.published_by_user})
    keys = ApiKey.objects.in_bulk({version.published_by_key for version in listed if version.published_by_key})
    serving = Deployment.objects.of(assistant.pk).filter(status__in=("active", "canary"))
    places: dict[str, list[str]] = {}
    for version_id, environment, status in serving.values_list("version_id", "environment", "status"):
        places.setdefault(version_id, []).append(f"{environment} (canary)" if status == "canary" else environment)
    return [
        {
            "version": version,
            "address": reverse(VERSION_PAGE, args=[quote(assistant.pk), version.number]),
            "restore_address": reverse(RESTORE, args=[quote(assistant.pk), version.number]),
            "by": _publisher(version, people, keys),
            "places": ", ".join(places.get(version.pk, [])),
            "is_base": version.pk == assistant.based_on,
        }
        for version in listed
    ]


def _publisher(version: AssistantVersion, people: dict[int, User], keys: dict[str, ApiKey]) -> str:
    if version.published_by_user is not None:
        return str(people.get(version.published_by_user, "somebody who is gone"))
    if version.published_by_key is None:
        return "–"
    return f"key {keys[version.published_by_key].name}" if version.published_by_key in keys else "a key that is gone"
