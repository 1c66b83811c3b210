"""How the views that the chat's page asks for JSON speak: one decorator for all of them.

@json_page("GET", "POST")
def queue(asked: Asked, thread_id: str) -> Any:
    thread = asked.own_thread(thread_id)
    if asked.is_read:
        return {"data": queued(thread)}
    given = NewMessage.checked(asked.body)  # a StrictSerializer
    return {"data": rendered(outbox.add(principal=asked.principal, thread_id=thread.id, **given))}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from rest_framework.exceptions import ParseError
from rest_framework.serializers import ValidationError

from sovereign.accounts.principals import Principal
from sovereign.accounts.services import idempotency, quotas
from sovereign.accounts.services.idempotency import Answer
from sovereign.accounts.services.quotas import Reservation
from sovereign.core import errors
from sovereign.core.api.transport import JSONParser
from sovereign.core.api.validation import is_portable, validation_error
from sovereign.core.errors import ApiError
from sovereign.web.chat.people import principal_of
from threads.models import Thread

LARGEST_BODY = 4 * 1024**2  # bytes: the longest message, each of its characters escaped, has less
SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a page: whose it is, and what it brings."""

    request: HttpRequest
    principal: Principal  # the person, in the project that the page is about
    body: dict[str, Any] = field(default_factory=dict)  # empty where the method has none
    counted: Reservation | None = None  # what it takes of the project's limits, where it takes something

    @property
    def is_read(self) -> bool:
        return self.request.method in SAFE

    def once(self, act: Callable[[], Any]) -> Any:
        """Do ``act``, in one transaction; or give what it gave, where the request has an ``Idempotency-Key`` and is the
        same as an earlier one. What it raises takes everything back.

        :param act: returns JSON; what is kept of it is no text of a person's.
        :raises ApiError: what ``act`` does; 400 for the key; 503, the same request is still being worked on.
        """
        key = idempotency.key_in(self.request.headers)
        if key is None:
            return act()
        body = orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)
        attempt = idempotency.attempt_of(self.principal, path=self.request.get_full_path(), body=body, key=key)
        answer = idempotency.once(attempt, lambda: Answer(body=orjson.dumps(act())))
        if answer.is_replayed and self.counted is not None:
            quotas.give_back([self.counted])  # it was counted when it was done
        return orjson.loads(answer.body)

    def own_thread(self, thread_id: str) -> Thread:
        """One of the person's own threads, in the project that the page is about.

        :raises ApiError: 404: unknown, deleted, somebody else's, of another project.
        """
        own = Thread.objects.visible_to(self.principal).owned_by(int(self.principal.user_id or 0))
        thread: Thread | None = own.filter(pk=thread_id).first()
        if thread is None:
            raise errors.not_found("thread", thread_id)
        return thread


def json_page(*methods: str, spends: bool = False) -> Callable[[Callable[..., Any]], Callable[..., HttpResponseBase]]:
    """A view of a person with a session, that is asked and answers in JSON.

    The view gets an :class:`Asked` and returns what is told (``None`` is told as ``{}``), or a response. What it raises
    is told in the contract's envelope: :class:`ApiError`, what a serializer refuses, ``Http404``. Nobody logged in is
    401, not the page of the login. Nothing of it is kept by a browser. CSRF is the middleware's affair, as everywhere.

    :param methods: that it takes, ``HEAD`` with ``GET``.
    :param spends: what it does leads to a model call: it counts for the project's limits as a request to ``/v1`` does,
        is refused (429) where they are used up, and says what is left.
    """
    taken = {*methods, *(("HEAD",) if "GET" in methods else ())}

    def decorate(view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **kwargs: str) -> HttpResponseBase:
            limits: dict[str, str] = {}

            def make() -> Any:
                asked = _asked(request, taken)
                if spends and not asked.is_read:
                    counted = quotas.take_request(asked.principal, needs_tokens=True)
                    asked = replace(asked, counted=counted)
                    limits.update(counted.headers)
                return view(asked, **kwargs)

            response = answered(make)
            for name, value in limits.items():
                response[name] = value
            return response

        return answer

    return decorate


def answered(make: Callable[[], Any]) -> HttpResponseBase:
    """What ``make`` tells, or raises, as :func:`json_page` answers it."""
    try:
        told = make()
        response = told if isinstance(told, HttpResponseBase) else JsonResponse(told or {})
    except ApiError as error:
        response = _refusal(error)
    except ValidationError as error:
        response = _refusal(validation_error(error))
    except Http404:
        response = _refusal(ApiError("There is nothing here.", status=HTTPStatus.NOT_FOUND))
    except PermissionDenied:
        response = _refusal(ApiError("Your role does not allow it.", status=HTTPStatus.FORBIDDEN))
    response["Cache-Control"] = "no-store"
    return response


def _refusal(error: ApiError) -> JsonResponse:
    return JsonResponse(error.body(), status=error.status, headers=error.headers)


def _asked(request: HttpRequest, taken: set[str]) -> Asked:
    """:raises ApiError: 401, 403, 405, and what :func:`body_of` raises."""
    if request.method not in taken:
        allowed = ", ".join(sorted(taken))
        raise ApiError(
            f"Not allowed method: {request.method}", status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": allowed}
        )
    if not request.user.is_authenticated:
        raise ApiError("Your session has ended. Log in again.", status=HTTPStatus.UNAUTHORIZED, code="session_ended")
    principal = principal_of(request)
    return Asked(request, principal) if request.method in SAFE else Asked(request, principal, body_of(request))


def body_of(request: HttpRequest, largest: int | None = None) -> dict[str, Any]:
    """The object that the body is; none is an empty one.

    :raises ApiError: 400, 413, 415.
    """
    largest = LARGEST_BODY if largest is None else largest
    try:
        content = request.body
    except RequestDataTooBig:
        raise errors.request_too_large(largest) from None
    if len(content) > largest:
        raise errors.request_too_large(largest)
    if content and request.content_type != "application/json":
        raise errors.unsupported_content_type(request.content_type or "")
    try:
        data = JSONParser().parse(request, request.content_type)
    except ParseError as error:
        raise ApiError(f"The body is no JSON: {error.detail}", code="invalid_json") from None
    if not isinstance(data, dict) or not is_portable(data):
        raise ApiError("The body has to be an object, without NUL characters.", code="invalid_json")
    return data
