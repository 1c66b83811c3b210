"""The same ``POST`` again: it is answered as it was, and nothing is done twice.

A request with an ``Idempotency-Key`` is the same as an earlier one with that key for a day. One without is a retry only
where its SDK says so (``x-stainless-retry-count``), for two minutes: two equal requests make two objects. Refused
requests leave nothing, so that trying again tries again.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from sovereign.accounts.models import IdempotencyRecord
from sovereign.accounts.principals import Principal
from sovereign.core.database import Busy, service, transact_alone
from sovereign.core.errors import ApiError, unavailable

KEY = "Idempotency-Key"  # the header
KEY_LENGTH = 255
KEPT = timedelta(hours=24)  # answers to requests with a key
RETRIED_WITHIN = timedelta(minutes=2)  # requests without one
PATIENCE = 5.0  # seconds that a request waits for an equal one
ROUTE_LENGTH = 200
FORGOTTEN_AT_ONCE = 1_000
REFUSALS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A ``POST`` as it came. Its digests say whose it is, too: nobody finds another tenant's, or another key's."""

    project_id: str
    route: str
    fingerprint: str  # of who asks, address and body
    key_digest: str | None = None  # of who asks and the Idempotency-Key
    retry: int = 0
    kept: timedelta = KEPT

    @property
    def may_be_retry(self) -> bool:
        return self.key_digest is not None or self.retry > 0

    @property
    def lock(self) -> int:
        """What equal attempts have in common."""
        return int.from_bytes(bytes.fromhex((self.key_digest or self.fingerprint)[:16]), signed=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: JSON, or a stream of ``stream_of`` from ``cursor``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream_of: str | None = None
    cursor: int = 0
    is_replayed: bool = False


def attempt_of(
    principal: Principal, *, path: str, body: bytes, key: str | None = None, retry: int = 0, kept: timedelta = KEPT
) -> Attempt:
    """:param path: with the query; :param body: in a form that is equal for equal requests."""
    who = principal.visitor_id or principal.key_id or f"user {principal.user_id}"
    whose = f"{principal.project_id}\0{who}\0"
    fingerprint = hashlib.sha256(f"{whose}{path}\0".encode(errors="surrogatepass") + body).hexdigest()
    key_digest = hashlib.sha256(f"{whose}{key}".encode()).hexdigest() if key is not None else None
    return Attempt(principal.project_id, path.partition("?")[0][:ROUTE_LENGTH], fingerprint, key_digest, retry, kept)


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request has.

    :raises ApiError: 400, one that no program would make.
    """
    key = headers.get(KEY)
    if key is not None and not (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
        raise ApiError(
            f"Invalid '{KEY}' header: expected 1 to {KEY_LENGTH} printable ASCII characters.",
            param=KEY,
            code="invalid_idempotency_key",
        )
    return key


class Refusals:
    """Requests without a key that this process could not carry out, for as long as they may be retried.

    The retry of one of them is nobody's: without this it would get the answer of an equal request, perhaps another's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[bytes, tuple[int, float]] = {}  # how many of them, and when the last; the oldest come first

    def note(self, request: bytes) -> None:
        """:param request: a digest of who asked for what."""
        with self._lock:
            self._put(request, self._pop(request) + 1)
            while len(self._noted) > REFUSALS_KEPT:
                del self._noted[next(iter(self._noted))]

    def take(self, request: bytes) -> bool:
        """Whether one was noted; it is forgotten now."""
        with self._lock:
            if many := self._pop(request):
                self._put(request, many - 1)
            return many > 0

    def _pop(self, request: bytes) -> int:
        many, noted_at = self._noted.pop(request, (0, 0.0))
        return many if time.monotonic() - noted_at < RETRIED_WITHIN.total_seconds() else 0

    def _put(self, request: bytes, many: int) -> None:
        if many:
            self._noted[request] = many, time.monotonic()


refusals = Refusals()


def once(attempt: Attempt, act: Callable[[], Answer]) -> Answer:
    """Do ``act`` and keep its answer, in one transaction; or give the answer of the attempt that this one repeats.

    What ``act`` raises takes everything back. It may be done again where the database asks for that.

    :raises ApiError: 400, the key was used for something else; 503, an equal attempt, or who else keeps SQLite's
        writers out, takes longer than 5 seconds.
    """
    begun, tries = timezone.now(), itertools.count()

    def work() -> Answer:
        return _once(attempt, act, begun if next(tries) else None)

    try:
        return transact_alone(work, name=attempt.lock, patience=PATIENCE, shared=not attempt.may_be_retry)
    except Busy:
        raise unavailable("The same request is still being worked on, or the database is busy. Please retry.") from None


def _once(attempt: Attempt, act: Callable[[], Answer], since: datetime | None) -> Answer:
    """:param since: when the request began, where the database has asked for it again."""
    if earlier := _earlier(attempt, since):
        body = zlib.decompress(earlier.body)
        return Answer(earlier.status, earlier.headers, body, earlier.stream_of, earlier.cursor, is_replayed=True)
    answer = act()
    IdempotencyRecord.objects.create(
        project_id=attempt.project_id,
        key_digest=attempt.key_digest,
        fingerprint=attempt.fingerprint,
        route=attempt.route,
        retries=attempt.retry,
        status=answer.status,
        headers=answer.headers,
        body=zlib.compress(answer.body, 1),
        stream_of=answer.stream_of,
        cursor=answer.cursor,
        expires_at=timezone.now() + (attempt.kept if attempt.key_digest else min(attempt.kept, RETRIED_WITHIN)),
    )
    return answer


def _earlier(attempt: Attempt, since: datetime | None) -> IdempotencyRecord | None:
    if attempt.key_digest:
        return _of_key(attempt)
    if attempt.retry:
        return _of_retry(attempt)
    if since:  # no lock was held between the two tries: this request's own retry may have been faster
        records = IdempotencyRecord.objects.filter(project_id=attempt.project_id)
        return records.made_by_retry(attempt.fingerprint, since + min(attempt.kept, RETRIED_WITHIN)).first()
    return None


def _of_key(attempt: Attempt) -> IdempotencyRecord | None:
    record = IdempotencyRecord.objects.filter(project_id=attempt.project_id, key_digest=attempt.key_digest).first()
    if record is None:
        return None
    if record.expires_at <= timezone.now():
        record.delete()
        return None
    if record.fingerprint != attempt.fingerprint:
        what = "another body" if record.route == attempt.route else "another path"
        raise ApiError(
            f"This Idempotency-Key was used for a request with {what}. Use another key for another request.",
            code="idempotency_key_reused",
        )
    return record


def _of_retry(attempt: Attempt) -> IdempotencyRecord | None:
    records = IdempotencyRecord.objects.filter(project_id=attempt.project_id)
    record = records.retried(attempt.fingerprint, attempt.retry, timezone.now()).first()
    if record is not None and record.retries < attempt.retry:
        record.retries = attempt.retry
        record.save(update_fields=["retries"])
    return record


def answers_with(project_id: str, signs: Sequence[Collection[str]]) -> list[int]:
    """The kept answers of a project that have all strings of one of these: each is unpacked and looked through.

    :param signs: ids, and other pieces of compact JSON.
    """
    wanted = [[piece.encode() for piece in sign] for sign in signs]
    records = IdempotencyRecord.objects.filter(project_id=project_id).values_list("pk", "body")
    return [
        pk
        for pk, body in records.iterator(chunk_size=FORGOTTEN_AT_ONCE)
        if body and _has_one(zlib.decompress(body), wanted)
    ]


def _has_one(body: bytes, signs: Sequence[Collection[bytes]]) -> bool:
    return any(all(piece in body for piece in sign) for sign in signs)


def forget_kept(pks: Sequence[int]) -> None:
    """Forget these answers before their time: who sends such a request again is answered anew."""
    for start in range(0, len(pks), FORGOTTEN_AT_ONCE):
        IdempotencyRecord.objects.filter(pk__in=pks[start : start + FORGOTTEN_AT_ONCE]).delete()


def forget_answers() -> int:
    """Delete up to a thousand records whose time is over; returns how many. Nothing is locked where there are none."""
    over = IdempotencyRecord.objects.filter(expires_at__lte=timezone.now())
    return _forget() if over.exists() else 0


@service
def _forget() -> int:
    over = IdempotencyRecord.objects.filter(expires_at__lte=timezone.now()).select_for_update(skip_locked=True)
    ids = list(over.order_by("expires_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    return IdempotencyRecord.objects.filter(pk__in=ids).delete()[0]
