"""A run asked again from its page, and the two answers beside each other."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from assistants.admin.visible import visible_assistants
from assistants.models import Assistant, AssistantVersion
from inference import gateway
from runs.admin.beside import beside
from runs.models import Run
from runs.services import origins, replaying
from runs.states import Status
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin, page_of
from sovereign.accounts.scopes import ANALYTICS_READ, ASSISTANTS_DEPLOY, RUNS_WRITE, USAGE_READ
from sovereign.core import times
from sovereign.core.errors import ApiError
from threads.services import note_reading

SAME = ""  # as the form says that nothing is put in its place
VERSIONS_OFFERED = 50
SHOWN = 20  # replays of a run, on its page
REPLAY, COMPARISON = "admin:runs_run_replay", "admin:runs_run_compared"


class Replays(ProjectAdmin):
    """Of the page of runs."""

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("<path:object_id>/replay/", own(self.replay_view), name="runs_run_replay"),
            path("<path:object_id>/beside/<str:other_id>/", own(self.compared_view), name="runs_run_compared"),
            *super().get_urls(),
        ]

    def may_replay(self, request: HttpRequest, run: Run) -> bool:
        return run.is_over and all(self.allowed(request, scope, run) for scope in (RUNS_WRITE, ASSISTANTS_DEPLOY))

    def shows_cost(self, request: HttpRequest, run: Run) -> bool:
        return any(self.allowed(request, scope, run) for scope in (USAGE_READ, ANALYTICS_READ))

    def replays(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        """For the run's page: what it is a replay of, its replays, and the way to another one."""
        seen: Any = self.get_queryset(request)
        rows = list(seen.replays_of(run.pk)[:SHOWN])
        first = seen.filter(pk=run.replay_of).first() if run.replay_of else None
        words = origins.in_words(rows)
        return {
            "replay_of": comparison_address(run.replay_of, run.pk) if first is not None else "",
            "replays": [
                {
                    "words": words[row.pk],
                    "model": row.model,
                    "status": Status(row.status).label,
                    "at": times.shown(row.created_at),
                    "address": comparison_address(run.pk, row.pk),
                }
                for row in rows
            ],
            "replay_address": reverse(REPLAY, args=[quote(run.pk)]) if self.may_replay(request, run) else "",
        }

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: with what it may be asked again. ``POST`` of ``version`` and ``model``: it is."""
        run: Run = self.found(request, object_id, to_change=False)
        if not self.may_replay(request, run):
            raise PermissionDenied
        if request.method == "POST":
            return self._replayed(request, run)
        note_reading(principal=self.principal_for(request, run), thread=run.thread)
        context = {
            **self.admin_site.each_context(request),
            "title": "Replay the run",
            "run": run,
            "address": page_of(run),
            "had": origins.in_words([run])[run.pk],
            "versions": self._versions(request, run),
            "models": _models(run),
            "calls_tools": bool(run.configuration.data["tools"] or run.configuration.data.get("server_tools")),
        }
        return TemplateResponse(request, "admin/runs/replay.html", context)

    def _replayed(self, request: HttpRequest, run: Run) -> HttpResponse:
        principal = self.principal_for(request, run)
        wanted = {name: request.POST.get(name, SAME).strip() or None for name in ("version", "model")}
        try:
            begun = replaying.replay(principal=principal, run_id=run.pk, **wanted)
        except ApiError as error:
            audit.refused(principal, "run.replay", "run", run.pk, error)
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(reverse(REPLAY, args=[quote(run.pk)]))
        return HttpResponseRedirect(comparison_address(run.pk, begun.run.pk))

    def _versions(self, request: HttpRequest, run: Run) -> list[tuple[str, str]]:
        """Those of the run's assistant, as far as the person sees it."""
        assistant: Assistant | None = visible_assistants(request).filter(pk=run.assistant_id).first()
        if assistant is None:
            return []
        numbers = AssistantVersion.objects.of(assistant.pk).order_by("-number").values_list("number", flat=True)
        return [
            (replaying.DRAFT, "The draft, as it is now"),
            *((str(number), f"Version {number}") for number in numbers[:VERSIONS_OFFERED]),
        ]

    def compared_view(self, request: HttpRequest, object_id: str, other_id: str) -> HttpResponse:
        """A run and one that answers its question again."""
        run: Run = self.found(request, object_id, to_change=False)
        other: Run | None = self.get_object(request, unquote(other_id))
        if other is None or other.replay_of != run.pk:
            raise Http404("no such replay")
        principal = self.principal_for(request, run)
        for each in (run, other):
            note_reading(principal=principal, thread=each.thread)
        context = {
            **self.admin_site.each_context(request),
            "title": "Two answers to one question",
            "run": run,
            "other": other,
            "replay_address": reverse(REPLAY, args=[quote(run.pk)]) if self.may_replay(request, run) else "",
            **beside(run, other, shows_cost=self.shows_cost(request, run)),
        }
        return TemplateResponse(request, "admin/runs/beside.html", context)


def comparison_address(run_id: str | None, other_id: str) -> str:
    return reverse(COMPARISON, args=[quote(run_id or ""), quote(other_id)])


def _models(run: Run) -> list[str]:
    """By their names, other than the run's; those that can be called now first."""
    known = [entry for entry in gateway.models(run.project_id) if entry.capabilities.chat and entry.id != run.model]
    return [entry.id for entry in sorted(known, key=lambda entry: (not entry.ready, entry.id))]
