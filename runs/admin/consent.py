"""Calls that wait for somebody's consent: shown on their run's page, and answered there by those who may write runs."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from runs.admin.readable import readable
from runs.models import Run
from runs.services import approvals, control
from runs.states import Status
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import RUNS_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError
from sovereign.core.visible import visible

ANSWERS = {"approve": True, "refuse": False}
APPROVAL = "approval"
UNANSWERED = "Approve or refuse each of the calls: the run goes on when all are answered."


def requests_of(run: Run) -> dict[str, Any]:
    """``{"asked": [{"id", "name", "server", "arguments"}], "others": names of functions}`` that a run waits for.

    Where the application has to answer for functions of its own, too, it answers for all of them.
    """
    waiting = (run.required_action or {}).get("submit_tool_outputs", {}).get("tool_calls", [])
    pending = approvals.pending([run.pk]).get(run.pk, {})
    return {
        "asked": [_request(call["id"], pending[call["id"]]["request"]) for call in waiting if call["id"] in pending],
        "others": [visible(call["function"]["name"]) for call in waiting if call["id"] not in pending],
    }


def waits_for(run: Run) -> str:
    """In a sentence, what a run needs from outside before it goes on."""
    requests = requests_of(run)
    names = ", ".join(requests["others"])
    if not requests["others"]:
        return f"It waits for somebody's approval, until {until(run)}."
    also = " and for somebody's approval" if requests["asked"] else ""
    return f"It waits for the application to give the result of {names}{also}, until {until(run)}."


def until(run: Run) -> str:
    """When a run that waits is over."""
    return times.clock(run.expires_at)


def _request(call_id: str, asked: dict[str, Any]) -> dict[str, str]:
    return {
        "id": call_id,
        "name": visible(str(asked.get("name", ""))),
        "server": visible(str(asked.get("server_label", ""))),
        "arguments": readable(json.dumps(asked.get("arguments", {}), ensure_ascii=False)),
    }


class WaitsFilter(SimpleListFilter):
    """The runs that wait for a person, apart from those that wait for their application."""

    title = "waiting for"
    parameter_name = "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(APPROVAL, "Somebody's approval")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        if self.value() != APPROVAL:
            return queryset
        waiting = queryset.filter(status=Status.REQUIRES_ACTION)  # few: they expire
        return queryset.filter(pk__in=approvals.pending(waiting.values_list("pk", flat=True)))


class Consent(ProjectAdmin):
    """The view that takes the answers."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.answer_view)
        return [path("<path:object_id>/answer/", view, name="runs_run_answer"), *super().get_urls()]

    def answer_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``answer-<call>=approve|refuse`` and ``reason-<call>`` for each call that waits."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run = self.get_object(request, unquote(object_id))
        if run is None:
            raise Http404("no such run")
        if not self.allowed(request, RUNS_WRITE, run):
            raise PermissionDenied
        try:
            self._answer(request, run)
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:runs_run_change", args=[quote(run.pk)]))

    def _answer(self, request: HttpRequest, run: Run) -> None:
        outputs = [_output(request, asked["id"]) for asked in requests_of(run)["asked"]]
        control.submit_tool_outputs(
            principal=self.principal_for(request, run), thread_id=run.thread_id, run_id=run.pk, tool_outputs=outputs
        )
        self.message_user(request, "Answered: the run goes on.", messages.SUCCESS)


def _output(request: HttpRequest, call_id: str) -> dict[str, str]:
    """:raises ApiError: 400, the call was not answered."""
    chosen = request.POST.get(f"answer-{call_id}", "")
    if chosen not in ANSWERS:
        raise ApiError(UNANSWERED)
    reason = request.POST.get(f"reason-{call_id}", "").strip()
    return {"tool_call_id": call_id, "output": approvals.answer(approve=ANSWERS[chosen], reason=reason)}
