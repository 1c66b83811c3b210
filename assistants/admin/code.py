"""What an application needs to talk to an assistant: programs that run as they stand here, and which key they take."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote, unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse

from assistants.admin.sites import sites
from assistants.admin.snippets import LANGUAGES, VARIABLE, snippets
from assistants.admin.tabs import CODE, DEPLOYMENTS, tabs
from assistants.kinds import Environment
from assistants.models import Assistant, Deployment
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, KEYS_MANAGE


class CodeOnPage(ProjectAdmin):
    """The tab "Code" of an assistant; the page of the assistant itself derives from this."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.code_view)
        return [path("<path:object_id>/code/", view, name=CODE), *super().get_urls()]

    def code_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``?in=``: a language of ``LANGUAGES``; ``?environment=``: that of the key, empty for none."""
        assistant: Assistant | None = self.get_object(request, unquote(object_id))
        if assistant is None or not self.has_view_permission(request, assistant):
            raise Http404("no such assistant")
        language, environment = request.GET.get("in", ""), request.GET.get("environment", "")
        language = language if language in LANGUAGES else next(iter(LANGUAGES))
        environment = environment if environment in Environment.values else ""
        base_url = request.build_absolute_uri("/v1")
        context = {
            "title": f"Code for {assistant}",
            "assistant": assistant,
            "tabs": tabs(request, assistant, CODE),
            "languages": [(title, _asking(one, environment), one == language)
                          for one, (title, _) in LANGUAGES.items()],
            "language": language,
            "installation": LANGUAGES[language][1],
            "environments": _environments(environment),
            "meant": _meant(assistant, environment),
            "deployments_address": reverse(DEPLOYMENTS, args=[quote(assistant.pk)]),
            "key_address": self._key_address(request, assistant, environment),
            "base_url": base_url,
            "variable": VARIABLE,
            "snippets": snippets(language, base_url, assistant.pk),
            "functions": _own_functions(assistant),
            "sites": sites(assistant, environment, may_make=self.allowed(request, ASSISTANTS_PROMOTE, assistant)),
        }  # fmt: skip
        return TemplateResponse(
            request, "admin/assistants/code.html", {**self.admin_site.each_context(request), **context}
        )

    def _key_address(self, request: HttpRequest, assistant: Assistant, environment: str) -> str:
        """Where such a key is made; empty for who may make none."""
        if not self.allowed(request, KEYS_MANAGE, assistant):
            return ""
        asked = {"project": assistant.project_id, "environment": environment}
        try:
            return f"{reverse('admin:accounts_apikey_add')}?{urlencode({k: v for k, v in asked.items() if v})}"
        except NoReverseMatch:
            return ""


def _asking(language: str, environment: str) -> str:
    return "?" + urlencode({"in": language, **({"environment": environment} if environment else {})})


def _environments(chosen: str) -> list[tuple[str, str, bool]]:
    unbound = ("", "No environment: the draft", chosen == "")
    return [unbound, *((one.value, str(one.label), one.value == chosen) for one in Environment)]


def _meant(assistant: Assistant, environment: str) -> dict[str, Any]:
    """What a key of the environment gets: ``{"words", "is_missing"}``."""
    if not environment:
        words = "A key that is bound to no environment gets the draft, as it was saved last."
        return {"words": words, "is_missing": False}
    label = Environment(environment).label
    found = Deployment.objects.in_service(assistant.pk, environment).select_related("version")
    serving = {deployment.status: deployment for deployment in found}
    if (active := serving.get(Deployment.Status.ACTIVE)) is None:
        words = f"Nothing of it is in service in {label}: runs with such a key are refused."
        return {"words": words, "is_missing": True}
    canary = serving.get(Deployment.Status.CANARY)
    beside = f", and version {canary.version.number} for {canary.percent:g} % of the threads" if canary else ""
    return {"words": f"A key of {label} gets version {active.version.number}{beside}.", "is_missing": False}


def _own_functions(assistant: Assistant) -> list[str]:
    """The names of what the application has to carry out."""
    return [tool["function"]["name"] for tool in assistant.tools if tool["type"] == "function"]
