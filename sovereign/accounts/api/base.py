"""The one base of every view of ``/v1``: what its body is, that the same ``POST`` twice is done once, and how often."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import idempotency, quotas
from sovereign.accounts.services.idempotency import Answer, Attempt
from sovereign.accounts.services.quotas import Reservation
from sovereign.core.api import leniency
from sovereign.core.api.validation import StrictSerializer
from sovereign.core.configuration import LENIENT
from sovereign.core.errors import ApiError

RETRY_COUNT = "X-Stainless-Retry-Count"
REPLAYED = "idempotent-replayed"
COUNT_LENGTH = 4  # digits
READING = frozenset(("GET", "HEAD", "OPTIONS"))  # methods whose use is not limited


@dataclass(frozen=True, slots=True)
class Stream:
    """What a ``POST`` gives instead of an answer: a stream, to be opened once everything before it is committed."""

    subject: str
    cursor: int


class ApiView(APIView):
    """A view says which serializer its body is (``serializer_class``), and gets what that made of it.

    ``partial_body = True``: the body changes only what it names, so that nothing in it is required.

    A ``post`` runs inside one transaction with the record of its answer (``services.idempotency``), and gives a
    ``Response`` or a ``Stream``; it may run again where the database asks for that. ``is_recorded = False``: none of
    this, for what changes nothing here and may take minutes.

    ``spends_tokens = True``: it leads to a model call, and is refused where the limits have no token left for one.
    """

    serializer_class: ClassVar[type[StrictSerializer]]
    partial_body: ClassVar[bool] = False
    answers_kept: ClassVar[timedelta] = idempotency.KEPT
    is_recorded: ClassVar[bool] = True
    spends_tokens: ClassVar[bool] = False

    _checked: dict[str, Any] | None = None
    _is_in_doubt = False  # something may have been committed
    _attempted: Attempt | None = None
    _counted: Reservation | None = None

    def body(self) -> dict[str, Any]:
        """The validated body of the request, a fresh dictionary.

        :raises rest_framework.exceptions.ValidationError: the first refusal of a field becomes the answer's envelope.
        """
        checked, self._checked = self._checked, None
        return self._check() if checked is None else checked

    def given(self) -> Any:
        """The body before it is validated, as JSON has it: equal for equal requests."""
        return self.request.data

    def outline(self) -> Any:
        """What is known of the body even where the request is refused before it has been read."""
        return self.given()

    def _check(self) -> dict[str, Any]:
        if settings.SOVEREIGN.unknown_parameters != LENIENT:
            return self._validated()
        with leniency.ignoring() as ignored:
            try:
                return self._validated()
            finally:
                if text := ignored.header(self.given()):
                    self.headers[leniency.HEADER] = text  # DRF puts these on whatever the answer will be

    def _validated(self) -> dict[str, Any]:
        return self.serializer_class.checked(self.given(), partial=self.partial_body)

    # ------------------------------------------------------------------------------------- the same POST again

    def prepare(self, request: Request, **names: str) -> None:
        """What a ``POST`` has to leave behind even where it is refused: it runs before the transaction."""

    def open(self, request: Request, stream: Stream) -> HttpResponseBase:
        """A response that streams. Asked for after the commit, and again for every retry."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **names: Any) -> None:
        super().initial(request, *args, **names)
        if request.method not in READING:
            self._count(principal_of(request))
        if request.method == "POST" and self.is_recorded and (handler := getattr(self, "post", None)) is not None:
            vars(self)["post"] = partial(self._post_once, handler)  # DRF looks for it when this is done

    def _count(self, principal: Principal) -> None:
        """One request less for the key and its project.

        :raises ApiError: 429.
        """
        try:
            self._counted = quotas.take_request(principal, needs_tokens=self.spends_tokens)
        except ApiError as refusal:
            self.headers.update(refusal.headers)
            raise
        self.headers.update(self._counted.headers)  # DRF puts these on whatever the answer will be

    def _post_once(self, handler: Callable[..., Response | Stream], request: Request, **names: str) -> HttpResponseBase:
        key = idempotency.key_in(request.headers)
        if hasattr(self, "serializer_class"):
            self._checked = self._check()  # a refusal needs no transaction, and no digest of the body
        self._attempted = attempt = self._attempt(request, key)
        self.prepare(request, **names)
        made: Response | Stream | None = None

        def act() -> Answer:
            nonlocal made
            made = handler(request, **names)
            self._is_in_doubt = True
            return _answer_of(made)

        answer = idempotency.once(attempt, act)
        if answer.is_replayed:
            self.headers[REPLAYED] = "true"
            if self._counted is not None:
                quotas.give_back([self._counted])  # it was counted when it was done
        if answer.stream_of is not None:
            return self.open(request, Stream(answer.stream_of, answer.cursor))
        if answer.is_replayed or made is None or isinstance(made, Stream):
            return Response(orjson.loads(answer.body), answer.status, headers=answer.headers)
        return made

    def _attempt(self, request: Request, key: str | None) -> Attempt:
        retry = _retry_count_of(request) or 0
        if retry and key is None and idempotency.refusals.take(_asked_by(request, self.outline())):
            retry = 0
        return idempotency.attempt_of(
            principal_of(request),
            path=request.get_full_path(),
            body=_sorted(self.given()),
            key=key,
            retry=retry,
            kept=self.answers_kept,
        )

    def handle_exception(self, exc: Exception) -> Response:
        """What a client may do that tries again.

        One that would not be recognised must not, where that might do it twice. What was surely not done is noted, so
        that its retry is not taken for that of an equal request which was.
        """
        response = super().handle_exception(exc)
        may_be_retried = response.status_code >= 500 or response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        if (
            self.request.method != "POST"
            or not (may_be_retried and self.is_recorded)
            or idempotency.KEY in self.request.headers
        ):
            return response
        retry = _retry_count_of(self.request)
        if self._is_in_doubt:
            if retry is None:
                response["x-should-retry"] = "false"
        elif not (self._attempted.retry if self._attempted else retry):
            with suppress(ApiError, APIException):  # a body that is none: its retry will be refused, too
                idempotency.refusals.note(_asked_by(self.request, self.outline()))
        return response


def _answer_of(made: Response | Stream) -> Answer:
    if isinstance(made, Stream):
        return Answer(stream_of=made.subject, cursor=made.cursor)
    headers = {name: value for name, value in made.items() if name.lower() != "content-type"}
    return Answer(made.status_code, headers, orjson.dumps(made.data))


def _sorted(body: Any) -> bytes:
    """The same for equal bodies."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def _asked_by(request: Request, body: Any) -> bytes:
    """A digest of a request and of who says to send it: that may be all that is known while the database is away."""
    asked = [request.headers.get(name, "") for name in ("Authorization", "X-Api-Key", "Cookie")]
    asked += [request.get_full_path(), ""]
    return hashlib.sha256("\0".join(asked).encode(errors="surrogatepass") + _sorted(body)).digest()


def _retry_count_of(request: Request) -> int | None:
    """How often an SDK has tried already; ``None`` where it does not say, or nothing that is a number."""
    text: str = request.headers.get(RETRY_COUNT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= COUNT_LENGTH else None
