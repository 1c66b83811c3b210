"""The chat: a server-rendered shell around ``/v1`` and the WebSocket, for people with a session.

The contract has no list of threads, so a person's own ones are listed here; all else the page asks of ``/v1``.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from assistants.models import Assistant, Deployment, LifeStatus
from runs.models import Run
from runs.services import environments
from sovereign.accounts import credentials
from sovereign.accounts.models import Membership
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core.errors import ApiError
from sovereign.web import engines
from threads.models import Thread

THREADS_SHOWN = 100
ASSISTANTS_OFFERED = 500
UNTITLED = "Untitled"
AT_REST = (LifeStatus.INACTIVE, LifeStatus.ARCHIVED)  # who is asked nothing more


@require_safe
@login_required
@ensure_csrf_cookie
def chat(request: HttpRequest, thread_id: str | None = None) -> HttpResponse:
    """The chat, at a new thread or at one of the person's own; anybody else's is 404 like an unknown one."""
    try:
        principal = principal_of(request)
    except ApiError as error:
        return render(
            request, "web/error.html", {"title": "No project yet", "text": error.message}, status=error.status
        )
    thread = own_thread(request, principal, thread_id) if thread_id else None
    if thread is not None and thread.project_id != principal.project_id:
        return _in_project(request, thread.project_id)
    wanted = request.GET.get("assistant")
    if wanted and (elsewhere := _project_of_assistant(request, principal, wanted)):
        return _in_project(request, elsewhere)
    return render(request, "web/chat.html", _context(request, principal, thread, wanted))


@require_safe
@login_required
def threads(request: HttpRequest) -> JsonResponse:
    """The person's newest threads of their active project, as the sidebar shows them."""
    try:
        return JsonResponse({"data": thread_list(principal_of(request))}, headers={"Cache-Control": "no-store"})
    except ApiError as error:
        return JsonResponse(error.body(), status=error.status)


@require_POST
@login_required
def choose_project(request: HttpRequest) -> HttpResponse:
    """Make another of the person's projects the active one of this session."""
    chosen = request.POST.get("project", "")
    if "\x00" in chosen or not _memberships(request).filter(project_id=chosen).exists():
        raise Http404
    request.session[credentials.SESSION_PROJECT] = chosen
    following = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(following if allowed else reverse("chat"))


def principal_of(request: HttpRequest) -> Principal:
    """The person in their active project; never a key: these pages are for sessions.

    :raises ApiError: 403, a member of no project.
    """
    return credentials.principal_of_person(person_of(request), request.session.get(credentials.SESSION_PROJECT))


def person_of(request: HttpRequest) -> int:
    """The id of the person whose session it is; the views ask for one first."""
    if request.user.pk is None:
        raise PermissionDenied
    return request.user.pk


def own_thread(request: HttpRequest, principal: Principal, thread_id: str) -> Thread:
    """One of the person's own threads, in any of their projects.

    :raises Http404: unknown, deleted, somebody else's.
    """
    projects = _memberships(request).values("project_id")
    thread = Thread.objects.owned_by(person_of(request)).filter(pk=thread_id, project_id__in=projects).first()
    if thread is None:
        raise Http404
    return thread


def thread_list(principal: Principal) -> list[dict[str, Any]]:
    """``{"id", "title", "last_activity_at": unix seconds, "is_active": an answer is being written}``, newest first."""
    own = Thread.objects.visible_to(principal).owned_by(int(principal.user_id or 0))
    rows = own.order_by("-last_activity_at", "-id").values_list("id", "title", "last_activity_at", "active_run_id")
    return [_entry(*row) for row in rows[:THREADS_SHOWN]]


def _entry(identifier: str, title: str, last_activity_at: datetime, active_run_id: str | None) -> dict[str, Any]:
    return {
        "id": identifier,
        "title": title or UNTITLED,
        "last_activity_at": int(last_activity_at.timestamp()),
        "is_active": active_run_id is not None,
    }


def _memberships(request: HttpRequest) -> Any:
    return Membership.objects.in_force().filter(user_id=person_of(request))


def _project_of_assistant(request: HttpRequest, principal: Principal, assistant_id: str) -> str | None:
    """The other one of the person's projects in which they see this assistant."""
    projects = _memberships(request).exclude(project_id=principal.project_id).values("project_id")
    found = Assistant.objects.filter(pk=assistant_id, project_id__in=projects).values_list("project_id", flat=True)
    project_id = found.first()
    if project_id is None:
        return None
    there = credentials.principal_of_person(person_of(request), project_id)
    return project_id if Assistant.objects.visible_to(there).filter(pk=assistant_id).exists() else None


def _in_project(request: HttpRequest, project_id: str) -> HttpResponse:
    """A deep link opens the project that it leads into."""
    request.session[credentials.SESSION_PROJECT] = project_id
    return HttpResponseRedirect(request.get_full_path())


def _context(request: HttpRequest, principal: Principal, thread: Thread | None, wanted: str | None) -> dict[str, Any]:
    visible = Assistant.objects.visible_to(principal).order_by("name", "created_at")
    assistants = list(visible.values("id", "name", "description", "model", "status")[:ASSISTANTS_OFFERED])
    demonstrations = engines.demonstrations({assistant["model"] for assistant in assistants}, principal.project_id)
    for assistant in assistants:
        assistant["name"] = assistant["name"] or UNTITLED
        assistant["is_demonstration"] = assistant.pop("model") in demonstrations
        assistant["is_at_rest"] = assistant["status"] in AT_REST
    if environments.may_choose(principal):
        _add_deployed(assistants)
    memberships = list(_memberships(request).select_related("project").order_by("created_at", "id"))
    last_assistant, last_environment = _last_run(thread) if thread else (wanted, None)
    return {
        "thread": thread,
        "threads": thread_list(principal),
        "assistants": assistants,
        "projects": [membership.project for membership in memberships],
        "project": next(m.project for m in memberships if m.project_id == principal.project_id),
        "environments": _environments(request, principal, last_environment),
        "may_make_assistants": principal.allows(ASSISTANTS_WRITE) and request.user.is_staff,
        "page": {
            "thread": thread.id if thread else None,
            "assistants": assistants,
            "assistant": last_assistant,
            "csrf_cookie": settings.CSRF_COOKIE_NAME,
            "urls": {"chat": reverse("chat"), "threads": reverse("chat-threads"), "status": reverse("status")},
        },
    }


def _add_deployed(assistants: list[dict[str, Any]]) -> None:
    """``deployed`` to each: the numbers of the versions in service, by environment."""
    ids = [assistant["id"] for assistant in assistants]
    active = Deployment.objects.filter(assistant_id__in=ids, status=Deployment.Status.ACTIVE)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for assistant_id, environment, number in active.values_list("assistant_id", "environment", "version__number"):
        found[assistant_id][environment] = number
    for assistant in assistants:
        assistant["deployed"] = found.get(assistant["id"], {})


def _environments(request: HttpRequest, principal: Principal, last: str | None) -> list[dict[str, Any]]:
    """``{"name", "title", "is_chosen"}`` for who may choose: what the address asks for, or what the thread had last."""
    if not environments.may_choose(principal):
        return []
    asked = request.GET.get("environment")
    chosen = asked if asked in environments.CHOICES else last or environments.USUAL
    choices = environments.CHOICES.items()
    return [{"name": name, "title": title, "is_chosen": name == chosen} for name, title in choices]


def _last_run(thread: Thread) -> tuple[str | None, str | None]:
    """Who answered last in a thread, and as what is deployed where: it goes on with both."""
    answered = Run.objects.filter(thread_id=thread.id).order_by("-created_at", "-id")
    last = answered.values_list("assistant_id", "environment").first()
    return (None, None) if last is None else (last[0], last[1] or environments.DRAFT)
