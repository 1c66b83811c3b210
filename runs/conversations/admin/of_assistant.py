"""The newest conversations of an assistant, as they go on: what each is doing now, and what people think of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from assistants.admin.tabs import tabs
from assistants.admin.visible import visible_assistants
from assistants.kinds import Environment
from assistants.models import Assistant
from runs.admin.runs import LABELS, reason_of
from runs.conversations.models import Conversation
from runs.models import Feedback, Run, RunStep
from runs.states import Status
from sovereign.accounts.admin.base import ProjectAdmin, known, projects_allowing
from sovereign.accounts.scopes import CONVERSATIONS_READ
from sovereign.core.visible import visible
from threads.models import Thread

TAB = "assistant_conversations"
RUNS_LOOKED_AT = 300  # the newest; those of one thread are shown once
SHOWN = 25  # threads
WITHOUT = "none"  # runs outside of every environment: of the draft, and of versions that are tried


class ConversationsOfAssistant(ProjectAdmin):
    """A tab of the assistant's page."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.of_assistant_view)
        return [path("of/<path:assistant_id>/", view, name=TAB), *super().get_urls()]

    def of_assistant_view(self, request: HttpRequest, assistant_id: str) -> HttpResponse:
        """``?environment=`` shows the runs of one, or of none (``none``).

        :raises Http404: the assistant is none, or not seen. :raises PermissionDenied: its conversations are not.
        """
        assistant = visible_assistants(request).filter(pk=unquote(assistant_id)).first()
        if assistant is None:
            raise Http404("no such assistant")
        projects = projects_allowing(request, CONVERSATIONS_READ)
        if projects is not None and assistant.project_id not in projects:
            raise PermissionDenied
        environment = request.GET.get("environment", "")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Conversations with {assistant}",
            "tabs": tabs(request, assistant, TAB),
            "assistant": assistant,
            "environments": _environments(environment),
            "rows": rows_of(request, assistant, environment),
            "chat_address": f"{reverse('chat')}?assistant={assistant.pk}",
            "runs_address": f"{reverse('admin:runs_run_changelist')}?assistant_id={assistant.pk}",
        }
        return TemplateResponse(request, "admin/conversations/of_assistant.html", context)


def _environments(chosen: str) -> list[tuple[str, str, bool]]:
    named = [("", "All"), *Environment.choices, (WITHOUT, "Draft and trials")]
    return [(value, str(words), value == chosen) for value, words in named]


def rows_of(request: HttpRequest, assistant: Assistant, environment: str = "") -> list[dict[str, Any]]:
    """The threads in which the assistant was asked last, in ten queries however many there are."""
    newest = _newest_of_each_thread(request, assistant, environment)
    threads = known(request, Thread.objects.filter(pk__in=newest)).select_related("owner").in_bulk()
    conversations = {one.thread_id: one for one in Conversation.objects.filter(thread__in=threads)}
    thumbs = Counter(
        Feedback.objects.standing().filter(run__thread__in=threads).values_list("run__thread_id", "rating")
    )
    active = {
        run.thread_id: run
        for run in Run.objects.filter(pk__in=[one.active_run_id for one in threads.values() if one.active_run_id])
    }
    doing = _doing(active.values())
    return [
        _row(threads[thread_id], run, active.get(thread_id), conversations.get(thread_id))
        | {"doing": doing.get(thread_id, ""), "up": thumbs[thread_id, "up"], "down": thumbs[thread_id, "down"]}
        for thread_id, run in newest.items()
        if thread_id in threads
    ]


def _newest_of_each_thread(request: HttpRequest, assistant: Assistant, environment: str) -> dict[str, Run]:
    """The newest run of each of the threads, by their ids, the newest first."""
    runs = known(request, Run.objects.filter(assistant_id=assistant.pk, project_id=assistant.project_id))
    if environment == WITHOUT:
        runs = runs.filter(environment=None)
    elif environment in Environment.values:
        runs = runs.filter(environment=environment)
    found: dict[str, Run] = {}
    for run in runs.defer("metadata", "required_action").order_by("-created_at", "-id")[:RUNS_LOOKED_AT]:
        if len(found) == SHOWN:
            break
        found.setdefault(run.thread_id, run)
    return found


def _doing(active: Iterable[Run]) -> dict[str, str]:
    """What is at work on threads, by their ids, in a few words."""
    runs = {run.pk: run for run in active}
    told = {run.thread_id: reason_of(run) for run in runs.values()}
    for step in RunStep.objects.filter(run__in=runs, status=RunStep.StepStatus.IN_PROGRESS).order_by("position"):
        run = runs[step.run_id]
        if run.status == Status.IN_PROGRESS:
            told[run.thread_id] = _step_words(step)
    return told


def _step_words(step: RunStep) -> str:
    if step.type == RunStep.Type.MESSAGE_CREATION:
        return "It writes its answer."
    tools = ", ".join(dict.fromkeys(visible(str(entry["tool"])) for entry in step.asked.values()))
    return f"It uses {tools}." if tools else "It asks for a tool."


def _row(thread: Thread, run: Run, active: Run | None, conversation: Conversation | None) -> dict[str, Any]:
    shown = active or run
    return {
        "title": str(thread),
        "address": reverse("admin:threads_thread_change", args=[quote(thread.pk)])
        if conversation is None
        else reverse("admin:conversations_conversation_change", args=[quote(conversation.pk)]),
        "run_address": reverse("admin:runs_run_change", args=[quote(shown.pk)]),
        "begun_by": thread.owner.get_username() if thread.owner else "the API",
        "at": shown.created_at,
        "status": Status(shown.status).label,
        "label": LABELS.get(Status(shown.status).label, "default"),
        "is_active": active is not None,
        "failure": reason_of(shown) if active is None else "",
        "environment": shown.environment or "",
        "messages": thread.last_position,
        "thumb": conversation.thumb if conversation else "",
        "score": conversation.score if conversation else None,
        "is_over": conversation.is_over if conversation else False,
    }
