"""What the embedded page asks for: the operations that it needs, each on the visitor's own threads, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.core import ratelimit
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from assistants.embeds.services import Visit, admit
from runs.api.serializers import cursor_of
from runs.models import Run
from runs.services import control, visiting
from runs.streaming.reader import frames
from runs.streaming.watcher import look_at
from sovereign.accounts.services import quotas
from sovereign.core.api.pagination import page_of, paginate
from sovereign.core.api.validation import StrictChoice, StrictList, StrictSerializer, StrictString
from sovereign.core.errors import ApiError
from sovereign.core.sse import sse_response
from sovereign.web.chat.again import AgainRequest
from sovereign.web.chat.answers import Asked, answered, body_of
from sovereign.web.chat.said import MESSAGES
from sovereign.web.chat.steps import RUNS, tries_of
from sovereign.web.embed.shapes import message_row, run_row, told
from sovereign.web.embed.visiting import (
    LARGEST_BODY,
    VisitorsRights,
    from_own_page,
    refuse_other_methods,
    visitor_page,
)
from sovereign.web.rendering.conversations import rendered_answers
from threads.models import Message, Thread
from threads.services import get_thread


class Said(StrictSerializer):
    role = StrictChoice(choices=["user"])
    content = StrictString(max_length=64_000)


class FirstThread(StrictSerializer):
    messages = StrictList(child=Said(), min_length=1, max_length=1)


class FirstQuestion(StrictSerializer):
    assistant_id = StrictString(max_length=64)  # the embed's public key: a visitor knows no other name of it
    thread = FirstThread()


class NextQuestion(StrictSerializer):
    assistant_id = StrictString(max_length=64)
    additional_messages = StrictList(child=Said(), min_length=1, max_length=1)


@csrf_exempt
def visitors(request: HttpRequest, public_key: str) -> HttpResponseBase:
    """``POST`` ``{}``: ``{"token"}`` of a new visitor."""

    def make() -> Any:
        refuse_other_methods(request, "POST")
        from_own_page(request)
        body_of(request, LARGEST_BODY)
        if not ratelimit.consume(request, action="visit"):
            raise ApiError(
                "Too many conversations were begun from here. Come back later.",
                status=429,
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"Retry-After": "3600"},
            )
        _, token = admit(public_key=public_key)
        return {"token": token}

    return answered(make)


@visitor_page("POST")
def begin(request: HttpRequest, visit: Visit, body: dict[str, Any]) -> Any:
    """A new thread with its first question, and the run that answers it."""
    given = _checked(FirstQuestion, body, visit)
    text = given["thread"]["messages"][0]["content"]
    return _once(request, visit, body, lambda: run_row(visiting.ask(visit=visit, text=text).run))


def runs(request: HttpRequest, public_key: str, thread_id: str) -> HttpResponseBase:
    """``GET``: the thread's runs. ``POST``: the next question."""
    view = go_on if request.method == "POST" else list_runs
    return view(request, public_key=public_key, thread_id=thread_id)


runs.csrf_exempt = True  # type: ignore[attr-defined]  # as those that it leads to


@visitor_page("POST")
def go_on(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    given = _checked(NextQuestion, body, visit)
    text = given["additional_messages"][0]["content"]
    return _once(request, visit, body, lambda: run_row(visiting.ask(visit=visit, text=text, thread_id=thread_id).run))


@visitor_page("POST")
def again(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    """``{"run": …}`` that goes on with the visitor's newest one, or answers its question anew."""
    given = AgainRequest.checked(body)

    def act() -> Any:
        begun = visiting.go_on(visit=visit, thread_id=thread_id, run_id=given["run"], how=given["how"])
        return {"run": run_row(begun.run)}

    return _once(request, visit, body, act)


@visitor_page("GET")
def list_runs(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    found = control.list_runs(own_thread(visit, thread_id), principal=visit.principal)
    return paginate(found, page_of(request.GET), order_by=("created_at", "id"), render=run_row)


@visitor_page("GET")
def run(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str, run_id: str) -> Any:
    """The run, or with ``?stream=true&starting_after=N`` what happens on it."""
    found = control.get_run(principal=visit.principal, thread_id=thread_id, run_id=run_id)
    if request.GET.get("stream") != "true":
        return run_row(found)
    cursor = cursor_of(request.GET.get("starting_after"))
    return sse_response(told(frames(found.id, cursor, VisitorsRights(visit.principal), resumed=True)))


@visitor_page("POST")
def cancel(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str, run_id: str) -> Any:
    return run_row(control.cancel_run(principal=visit.principal, thread_id=thread_id, run_id=run_id))


@visitor_page("GET")
def messages(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    found = Message.objects.of_thread(own_thread(visit, thread_id).pk)
    return paginate(found, page_of(request.GET), order_by=("position",), render=message_row)


@visitor_page("GET")
def thread(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    return {"id": own_thread(visit, thread_id).pk, "object": "thread"}


@visitor_page("GET")
def steps(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    """``?run=…&run=…`` as the chat's page is told it: of these runs only which of them belong to one answer."""
    found = Run.objects.filter(thread=own_thread(visit, thread_id), pk__in=request.GET.getlist("run")[:RUNS])
    return {"data": [], "requests": [], "ratings": {}, "comments": {}, "origins": {}, "tries": tries_of(found)}


@visitor_page("GET")
def watch(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    """``{"thread": …}`` as the chat's page is told it."""
    found = own_thread(visit, thread_id)
    return {"thread": dict(look_at([found.pk])[found.pk].told)}


@visitor_page("GET")
def rendered(request: HttpRequest, visit: Visit, body: dict[str, Any], thread_id: str) -> Any:
    """``?message=…``: the HTML of these, see :func:`rendered_answers`; nothing in it can be opened but links."""
    ids = request.GET.getlist("message")[:MESSAGES]
    whole = Message.objects.of_thread(own_thread(visit, thread_id).pk).filter(pk__in=ids)
    whole = whole.exclude(status=Message.Status.IN_PROGRESS).order_by("position")
    return rendered_answers(whole, is_bare=True)


def own_thread(visit: Visit, thread_id: str) -> Thread:
    """:raises ApiError: 404: unknown, deleted, somebody else's."""
    return get_thread(principal=visit.principal, thread_id=thread_id)


def _once(request: HttpRequest, visit: Visit, body: dict[str, Any], act: Callable[[], Any]) -> Any:
    """Do what leads to an answer, once: a request that is sent again is answered as it was (``Idempotency-Key``).

    It counts for the limits of the embed's key and of its project as a request to ``/v1`` does.

    :raises ApiError: 429, and what ``act`` raises.
    """
    with visiting.concealed():
        counted = quotas.take_request(visit.principal, needs_tokens=True)
    return Asked(request, visit.principal, body, counted).once(act)


def _checked(shape: type[StrictSerializer], body: dict[str, Any], visit: Visit) -> dict[str, Any]:
    """:raises ValidationError: anything that is not the visitor's to say. :raises ApiError: 404, another assistant."""
    given: dict[str, Any] = shape.checked(body)
    if given["assistant_id"] != visit.embed.public_key:
        raise ApiError("There is no such assistant here.", status=404, param="assistant_id", code="not_found")
    return given
