"""The page, what its script asks for, and what its form does where no script runs."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from assistants.admin.tabs import tabs
from assistants.admin.visible import visible_assistants
from assistants.models import Assistant
from runs.evaluations import services as evaluations
from runs.evaluations.models import NAME_LENGTH, EvaluationCase, EvaluationSet
from runs.lifecycle.smoke import PURPOSE
from runs.models import Run
from runs.services import creation, environments
from sovereign.accounts import audit
from sovereign.accounts.admin.base import page_of, principals_of
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import EVALUATIONS_WRITE
from sovereign.core.database import transact
from sovereign.core.errors import ApiError
from sovereign.web.trying import choices as answering
from sovereign.web.trying.choices import TRIAL
from sovereign.web.trying.figures import case_shown, figures
from threads.models import Message, Thread

SIDES = ("left", "right")
RUNS = 100  # that one request may ask for
MESSAGES_SHOWN = 50  # where no script runs, which shows all of them
SETS_SHOWN = 50
LONGEST = 256_000  # characters of a message, as a thread takes them
NO_MEMBER = (
    "You are no member of this project. Join it to try its assistants: what is tried is a conversation of yours."
)


@require_http_methods(["GET", "HEAD", "POST"])
@ensure_csrf_cookie
def page(request: HttpRequest, assistant_id: str) -> HttpResponse:
    """``?left=&right=&left_thread=&right_thread=``: what answers, and in which conversations. ``POST`` asks, where no
    script does."""
    assistant = _assistant(request, assistant_id)
    principal = principals_of(request).get(assistant.project_id)
    choices = answering.offered(assistant)
    if principal is not None and request.method == "POST":
        return _ask(request, assistant, principal, choices)
    first = dict(zip(SIDES, answering.first_pair(choices), strict=True))
    sides = [_side(request, assistant, name, choices, first[name]) for name in SIDES]
    context = {
        **admin.site.each_context(request),
        "title": f"Try {assistant}",
        "assistant": assistant,
        "tabs": tabs(request, assistant, "assistant_try"),
        "configure_address": page_of(assistant),
        "refusal": "" if principal is not None else NO_MEMBER,
        "sides": sides,
        "longest": LONGEST,
        "sets": _sets(principal, assistant),
        "script": _script(assistant, sides, choices, may_make_cases=_may_make_cases(principal)),
    }
    return TemplateResponse(request, "admin/assistants/try.html", context)


@require_safe
def figures_of(request: HttpRequest, assistant_id: str) -> HttpResponse:
    """``?run=…&run=…``: see :func:`sovereign.web.trying.figures.figures`; of the person's own conversations."""
    assistant = _assistant(request, assistant_id)
    principal = _member(request, assistant)
    own = Run.objects.filter(assistant_id=assistant.pk, thread__owner_id=principal.user_id)
    runs = list(own.filter(pk__in=request.GET.getlist("run")[:RUNS]))
    return JsonResponse({"data": figures(principal, runs)})


@require_POST
def make_case(request: HttpRequest, assistant_id: str) -> HttpResponse:
    """``{"run", "set": its id, or "" for a new one}``: the case, and the set that it is in."""
    assistant = _assistant(request, assistant_id)
    principal = _member(request, assistant)
    run_id, set_id = _asked_for(request)
    try:
        case = transact(partial(_case, principal, assistant, run_id, set_id))  # what refuses it leaves no empty set
    except ApiError as error:
        audit.refused(principal, "evaluation.add_case", "run", run_id, error)
        return JsonResponse(error.body(), status=error.status)
    return JsonResponse({"case": case_shown(case), "set": {"id": case.set_id, "name": str(case.set)}})


# ------------------------------------------------------------------------------------------ who, and what of


def _assistant(request: HttpRequest, assistant_id: str) -> Assistant:
    """:raises Http404: unknown, or not seen. :raises PermissionDenied: seen by who may not choose what answers."""
    found: Assistant | None = visible_assistants(request).filter(pk=unquote(assistant_id)).first()
    if found is None:
        raise Http404("no such assistant")
    principal = principals_of(request).get(found.project_id)
    if principal is not None and not environments.may_choose(principal):
        raise PermissionDenied
    return found


def _member(request: HttpRequest, assistant: Assistant) -> Principal:
    """:raises PermissionDenied: a superuser who is none."""
    principal = principals_of(request).get(assistant.project_id)
    if principal is None:
        raise PermissionDenied
    return principal


def _own_trial(request: HttpRequest, assistant: Assistant, thread_id: str | None) -> Thread | None:
    """``None`` where it is no conversation of the person with this assistant on this page."""
    if not thread_id or "\x00" in thread_id:
        return None
    threads = Thread.objects.standing().filter(project_id=assistant.project_id, owner_id=request.user.pk)
    thread: Thread | None = threads.filter(pk=thread_id).first()
    if thread is None or thread.metadata.get(PURPOSE) != TRIAL:
        return None
    return thread if Run.objects.filter(thread=thread, assistant_id=assistant.pk).exists() else None


def _may_make_cases(principal: Principal | None) -> bool:
    return principal is not None and principal.allows(EVALUATIONS_WRITE)


def _sets(principal: Principal | None, assistant: Assistant) -> list[tuple[str, str]]:
    """Those that a case can be put into, the newest first."""
    if principal is None or not _may_make_cases(principal):
        return []
    fitting = EvaluationSet.objects.open_to(principal, assistant.pk).order_by("-created_at", "-id")
    return list(fitting.values_list("id", "name")[:SETS_SHOWN])


# ------------------------------------------------------------------------------------------ the page


def _side(
    request: HttpRequest, assistant: Assistant, name: str, choices: list[answering.Choice], otherwise: str
) -> dict[str, Any]:
    asked = request.GET.get(name)
    is_nobody = name == "right" and asked == answering.NOBODY
    chosen = answering.NOBODY if is_nobody else answering.known(asked, choices, otherwise)
    thread = _own_trial(request, assistant, request.GET.get(f"{name}_thread"))
    return {
        "name": name,
        "title": name.capitalize(),
        "chosen": chosen,
        "choices": [(choice.value, choice.title, choice.value == chosen) for choice in choices],
        "may_be_nobody": name == "right",
        "thread": thread,
        "said": _said(thread),
    }


def _said(thread: Thread | None) -> list[Message]:
    if thread is None:
        return []
    return list(Message.objects.of_thread(thread.id).order_by("-position")[:MESSAGES_SHOWN])[::-1]


def _script(
    assistant: Assistant, sides: list[dict[str, Any]], choices: list[answering.Choice], *, may_make_cases: bool
) -> dict[str, Any]:
    """What the script is told."""
    return {
        "assistant": {"id": assistant.pk, "name": str(assistant)},
        "sides": {side["name"]: side["thread"].id if side["thread"] is not None else None for side in sides},
        "headers": {choice.value: choice.headers for choice in choices},
        "metadata": {PURPOSE: TRIAL},
        "may_make_cases": may_make_cases,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "project": assistant.project_id,
        "urls": {
            "chat": reverse("chat"),
            "status": reverse("status"),
            "figures": _address(assistant, "assistant_try_figures"),
            "case": _address(assistant, "assistant_try_case"),
        },
    }


def _address(assistant: Assistant, name: str = "assistant_try") -> str:
    return reverse(name, args=[quote(assistant.pk)])


# ------------------------------------------------------------------------------------------ without a script


def _ask(
    request: HttpRequest, assistant: Assistant, principal: Principal, choices: list[answering.Choice]
) -> HttpResponse:
    """Ask the sides that are to be asked, and show the page with their conversations."""
    query: dict[str, str] = {}
    text, to = request.POST.get("text", "").strip(), request.POST.get("to", "")
    if not text or len(text) > LONGEST:
        messages.error(request, "Write a message first." if not text else "The message is too long.")
    for name in SIDES:
        chosen = answering.known(request.POST.get(name), choices, answering.NOBODY)
        thread = _own_trial(request, assistant, request.POST.get(f"{name}_thread"))
        query[name] = chosen
        if chosen and text and len(text) <= LONGEST and to in ("", "both", name):
            thread_id = _begun(request, assistant, principal, chosen, thread, text)
        else:
            thread_id = thread.id if thread is not None else None
        query |= {f"{name}_thread": thread_id} if thread_id else {}
    return HttpResponseRedirect(f"{_address(assistant)}?{urlencode(query)}")


def _begun(
    request: HttpRequest, assistant: Assistant, principal: Principal, chosen: str, thread: Thread | None, text: str
) -> str | None:
    """The conversation in which it was asked; a refusal is a message on the page."""
    said = {"role": "user", "content": text}
    try:
        who, version = answering.asking(principal, chosen)
        common: dict[str, Any] = {"principal": who, "assistant_id": assistant.pk, "version": version}
        if thread is not None:
            return creation.create_run(thread_id=thread.id, additional_messages=[said], **common).run.thread_id
        made = {"messages": [said], "metadata": {PURPOSE: TRIAL}}
        return creation.create_thread_and_run(thread=made, **common).run.thread_id
    except ApiError as error:
        messages.error(request, error.message)
        return thread.id if thread is not None else None


# ------------------------------------------------------------------------------------------ test cases


def _asked_for(request: HttpRequest) -> tuple[str, str]:
    """:raises Http404: nothing that names a run."""
    try:
        body = json.loads(request.body)
        run_id, set_id = body["run"], body.get("set") or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Http404("no such run") from None
    if not isinstance(run_id, str) or not isinstance(set_id, str) or "\x00" in run_id + set_id:
        raise Http404("no such run")
    return run_id, set_id


def _case(principal: Principal, assistant: Assistant, run_id: str, set_id: str) -> EvaluationCase:
    """:raises ApiError: see ``case_from_run`` and ``create_set``."""
    if not set_id:
        name = f"Cases of {assistant}"[:NAME_LENGTH]
        set_id = evaluations.create_set(principal=principal, name=name, assistant_id=assistant.pk).id
    return evaluations.case_from_run(principal=principal, set_id=set_id, run_id=run_id)
