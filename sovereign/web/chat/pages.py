"""The chat's page, and which project it is about."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from assistants.models import Assistant, Deployment, LifeStatus
from runs.models import Run
from runs.services import environments
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core.errors import ApiError
from sovereign.web import engines
from sovereign.web.chat.files import limits
from sovereign.web.chat.people import memberships_of, own_thread, person_of, principal_of
from sovereign.web.chat.sidebar import UNTITLED, listed, title_of
from threads.models import Thread

ASSISTANTS_OFFERED = 500
AT_REST = (LifeStatus.INACTIVE, LifeStatus.ARCHIVED)  # who is asked nothing more
#: what the environments are called here
PLACES = {
    "development": gettext_lazy("Development"),
    "testing": gettext_lazy("Testing"),
    "staging": gettext_lazy("Staging"),
    "production": gettext_lazy("Production"),
    environments.DRAFT: gettext_lazy("Draft"),
}


@require_safe
@login_required
@ensure_csrf_cookie
def chat(request: HttpRequest, thread_id: str | None = None) -> HttpResponse:
    """The chat, at a new thread or at one of the person's own; anybody else's is 404 like an unknown one."""
    try:
        principal = principal_of(request)
    except ApiError as error:
        return no_project(request, error)
    thread = own_thread(request, principal, thread_id) if thread_id else None
    if thread is not None and thread.project_id != principal.project_id:
        return in_project(request, thread.project_id)
    wanted = request.GET.get("assistant")
    if wanted and (elsewhere := _project_of_assistant(request, principal, wanted)):
        return in_project(request, elsewhere)
    return render(request, "web/chat/page.html", _context(request, principal, thread, wanted))


@require_POST
@login_required
def choose_project(request: HttpRequest) -> HttpResponse:
    """Make another of the person's projects the active one of this session."""
    chosen = request.POST.get("project", "")
    if "\x00" in chosen or not memberships_of(request).filter(project_id=chosen).exists():
        raise Http404
    request.session[credentials.SESSION_PROJECT] = chosen
    following = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(following if allowed else reverse("chat"))


def _project_of_assistant(request: HttpRequest, principal: Principal, assistant_id: str) -> str | None:
    """The other one of the person's projects in which they see this assistant."""
    projects = memberships_of(request).exclude(project_id=principal.project_id).values("project_id")
    found = Assistant.objects.filter(pk=assistant_id, project_id__in=projects).values_list("project_id", flat=True)
    project_id = found.first()
    if project_id is None:
        return None
    there = credentials.principal_of_person(person_of(request), project_id)
    return project_id if Assistant.objects.visible_to(there).filter(pk=assistant_id).exists() else None


def no_project(request: HttpRequest, error: ApiError) -> HttpResponse:
    """Said to who is a member of none."""
    told = {"title": _("No project yet"), "text": error.message}
    return render(request, "web/error.html", told, status=error.status)


def in_project(request: HttpRequest, project_id: str) -> HttpResponse:
    """A deep link opens the project that it leads into."""
    request.session[credentials.SESSION_PROJECT] = project_id
    return HttpResponseRedirect(request.get_full_path())


def frame(request: HttpRequest, principal: Principal) -> dict[str, Any]:
    """What every page with the list of conversations shows: that, the person's projects, and whom they may ask."""
    memberships = list(memberships_of(request).select_related("project").order_by("created_at", "id"))
    return {
        "sidebar": listed(principal),
        "assistants": _assistants(principal),
        "projects": [membership.project for membership in memberships],
        "project": next(m.project for m in memberships if m.project_id == principal.project_id),
    }


def _assistants(principal: Principal) -> list[dict[str, Any]]:
    visible = Assistant.objects.visible_to(principal).order_by("name", "created_at")
    assistants = list(
        visible.values("id", "name", "description", "model", "status", "suggestions")[:ASSISTANTS_OFFERED]
    )
    demonstrations = engines.demonstrations({assistant["model"] for assistant in assistants}, principal.project_id)
    for assistant in assistants:
        assistant["name"] = assistant["name"] or str(UNTITLED)
        assistant["suggestions"] = assistant["suggestions"] or []
        assistant["is_demonstration"] = assistant.pop("model") in demonstrations
        assistant["is_at_rest"] = assistant["status"] in AT_REST
    return assistants


def _context(request: HttpRequest, principal: Principal, thread: Thread | None, wanted: str | None) -> dict[str, Any]:
    around = frame(request, principal)
    assistants = around["assistants"]
    if environments.may_choose(principal):
        _add_deployed(assistants)
    last_assistant, last_environment = last_run(thread) if thread else (wanted, None)
    return {
        **around,
        "thread": thread,
        "environments": _environments(request, principal, last_environment),
        "may_share": around["project"].allows_shared_links,
        "may_make_assistants": principal.allows(ASSISTANTS_WRITE) and request.user.is_staff,
        "page": {
            "thread": thread.id if thread else None,
            "title": title_of(thread) if thread else None,
            "sidebar": around["sidebar"],
            "assistants": assistants,
            "assistant": last_assistant,
            "csrf_cookie": settings.CSRF_COOKIE_NAME,
            "limits": limits(),
            "project": principal.project_id,
            "urls": {
                "chat": reverse("chat"),
                "threads": reverse("chat-threads"),
                "answering": reverse("chat-answering"),
            },
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
    return [{"name": name, "title": PLACES.get(name, title), "is_chosen": name == chosen} for name, title in choices]


def last_run(thread: Thread) -> tuple[str | None, str | None]:
    """Who answered last in a thread, and as what is deployed where: it goes on with both."""
    answered = Run.objects.filter(thread_id=thread.id).order_by("-created_at", "-id")
    last = answered.values_list("assistant_id", "environment").first()
    return (None, None) if last is None else (last[0], last[1] or environments.DRAFT)
