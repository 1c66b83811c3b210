"""The only door for changing what waits on a thread. The thread's lock guards its queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.db import transaction

from assistants import services as assistants
from assistants.knowledge.services import resources
from runs.models import Run
from runs.outbox.models import PREVIEW_LENGTH, PROBLEM_LENGTH, Hold, QueuedMessage
from runs.services import creation
from runs.services.environments import acting_in
from runs.states import Status
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_WRITE, THREADS_WRITE
from sovereign.accounts.services import quotas
from sovereign.core import errors
from sovereign.core.database import now, only_row, service
from sovereign.core.errors import ApiError
from threads import services as threads
from threads.models import Thread

MOST_WAITING = 20  # on one thread
LONGEST_WAIT = timedelta(minutes=1)  # until what a limit refused is tried again
BROKEN = "It could not be sent because of an error of this server, which its log tells."
NO_MEMBER = "You are not a member of this conversation's project any more."
HOLDS = {Status.FAILED: Hold.FAILED, Status.EXPIRED: Hold.EXPIRED}


def list_queue(*, principal: Principal, thread_id: str) -> list[QueuedMessage]:
    """What the person has waiting on a thread, in order."""
    return list(QueuedMessage.objects.of(principal, thread_id))


@service
def say(
    *,
    principal: Principal,
    thread_id: str,
    assistant_id: str,
    content: str | list[dict[str, Any]],
    attachments: Sequence[dict[str, Any]] = (),
    environment: str | None = None,
) -> Run | QueuedMessage:
    """Begin the answer to a message, which takes a request of the project's limits. Where an answer is under way, or a
    message is about to be sent by itself, put it behind that: whoever had not heard of those yet overtakes nobody.

    Parameters are those of :func:`add`.

    :raises ApiError: as :func:`add` does; 429; what :func:`runs.services.creation.create_run` refuses.
    """
    thread = _own_thread(principal, thread_id)
    written: dict[str, Any] = {"assistant_id": assistant_id, "content": content, "attachments": [*attachments]}
    first = QueuedMessage.objects.of(principal, thread_id).select_related("thread").first()
    if thread.active_run_id or (first is not None and first.goes_by_itself):
        return add(principal=principal, thread_id=thread_id, environment=environment, **written)
    return _begin(principal, QueuedMessage(thread=thread, environment=environment, **written))


@service
def add(
    *,
    principal: Principal,
    thread_id: str,
    assistant_id: str,
    content: str | list[dict[str, Any]],
    attachments: Sequence[dict[str, Any]] = (),
    environment: str | None = None,
) -> QueuedMessage:
    """Put a message behind those that wait. Where the thread is free by now, it is sent in a moment.

    :param content: the contract's, validated, as ``attachments`` are.
    :param environment: where the assistant is looked up; see :func:`runs.services.environments.acting_in`.
    :raises ApiError: 404 for thread, assistant and files; 400 or 403 for the environment; 400 ``queue_full``.
    """
    thread = _own_thread(principal, thread_id)
    assert thread.owner_id is not None
    waiting = QueuedMessage.objects.of(principal, thread_id)
    if waiting.count() >= MOST_WAITING:
        raise ApiError(f"At most {MOST_WAITING} messages can wait in a conversation.", code="queue_full")
    last = waiting.last()
    made = QueuedMessage(
        project_id=thread.project_id,
        thread=thread,
        user_id=thread.owner_id,
        position=1 if last is None else last.position + 1,
    )
    _write(
        principal,
        made,
        assistant_id=assistant_id,
        content=content,
        attachments=[*attachments],
        environment=environment,
    )
    return made


@service
def change(*, principal: Principal, thread_id: str, message_id: str, **fields: Any) -> QueuedMessage:
    """Change what of :func:`add` is given, or its ``place`` in the queue (from 0). What held it is tried anew.

    :raises ApiError: as :func:`add` does; 404 where it was sent or withdrawn meanwhile.
    """
    _own_thread(principal, thread_id)
    message = _waiting(principal, thread_id, message_id)
    if (place := fields.pop("place", None)) is not None:
        _move(principal, message, place)
    _write(principal, message, **fields)
    return message


@service
def withdraw(*, principal: Principal, thread_id: str, message_id: str) -> QueuedMessage:
    """Take a message back. :raises ApiError: 404 where it was sent or withdrawn meanwhile."""
    _own_thread(principal, thread_id)
    message = _waiting(principal, thread_id, message_id)
    QueuedMessage.objects.filter(pk=message.pk).delete()
    threads.tell_watchers(thread_id)
    return message


@service
def send_now(*, principal: Principal, thread_id: str) -> Run | None:
    """Send the first message, whatever held it; ``None`` where it was refused again, which it then says.

    :raises ApiError: 404, there is none; 400, an answer is under way: it is sent after that.
    """
    thread = _own_thread(principal, thread_id)
    first = QueuedMessage.objects.of(principal, thread_id).first()
    if first is None:
        raise ApiError("Nothing waits in this conversation.", status=404)
    if thread.active_run_id:
        raise ApiError("An answer is being written. The message is sent after it.", code="thread_busy")
    return _send(first)


@service
def send_due(thread_id: str) -> Run | None:
    """Send the first message that waits on a thread, if the thread is free and nothing holds it.

    One transaction takes the row away and makes message and run: a killed process leaves both or neither.
    """
    if thread_id not in threads.lock_threads([thread_id]):
        return None
    first = QueuedMessage.objects.due().filter(thread_id=thread_id).select_related("thread").first()
    if first is None:
        return None
    if hold := _held_by_answer(thread_id):
        _hold(first, hold)
        return None
    return _send(first)


@service
def hold_broken(thread_id: str) -> None:
    """Keep the first message from being sent again and again, where sending it breaks something of ours."""
    threads.lock_threads([thread_id])
    first = QueuedMessage.objects.due().filter(thread_id=thread_id).select_related("thread").first()
    if first is not None:
        _hold(first, Hold.REFUSED, BROKEN)


# ------------------------------------------------------------------------------------------------ inside


def _own_thread(principal: Principal, thread_id: str) -> Thread:
    """The thread, locked. Messages wait on the chats of the person only: nobody else speaks there."""
    principal.require(RUNS_WRITE)
    principal.require(THREADS_WRITE)
    thread = threads.lock_thread(principal=principal, thread_id=thread_id)
    if thread.owner_id is None or thread.owner_id != principal.user_id:
        raise errors.not_found("thread", thread_id)
    return thread


def _waiting(principal: Principal, thread_id: str, message_id: str) -> QueuedMessage:
    message: QueuedMessage | None = only_row(QueuedMessage.objects.of(principal, thread_id).filter(pk=message_id))
    if message is None:
        raise errors.not_found("queued message", message_id)
    return message


def _write(principal: Principal, message: QueuedMessage, **fields: Any) -> None:
    """:raises ApiError: what is not there, or not theirs to choose."""
    if "assistant_id" in fields:
        assistants.named_assistant(principal=principal, assistant_id=fields["assistant_id"])
    if "environment" in fields:
        acting_in(principal, fields["environment"])
    for name, value in fields.items():
        setattr(message, name, value)
    resources.check_files(principal=principal, file_ids=_files_of(message))
    message.preview = _text_of(message)[:PREVIEW_LENGTH]
    message.hold, message.held_at, message.not_before, message.problem = "", None, None, ""
    message.save()
    threads.tell_watchers(message.thread_id)


def _text_of(message: QueuedMessage) -> str:
    content = message.content
    texts = [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
    return "\n\n".join(texts).strip()


def _files_of(message: QueuedMessage) -> list[str]:
    parts = [] if isinstance(message.content, str) else message.content
    images = [part["image_file"]["file_id"] for part in parts if part["type"] == "image_file"]
    return [*images, *(attachment["file_id"] for attachment in message.attachments)]


def _move(principal: Principal, message: QueuedMessage, place: int) -> None:
    others = [other for other in QueuedMessage.objects.of(principal, message.thread_id) if other.pk != message.pk]
    others.insert(place, message)
    for position, other in enumerate(others, start=1):
        other.position = position
        QueuedMessage.objects.filter(pk=other.pk).update(position=position)


def _held_by_answer(thread_id: str) -> Hold | None:
    """After an answer that went wrong the next question may be another one: its person decides."""
    newest = Run.objects.filter(thread_id=thread_id).order_by("-created_at", "-id")
    status = newest.values_list("status", flat=True).first()
    return HOLDS.get(Status(status)) if status is not None else None


def _hold(message: QueuedMessage, hold: Hold, problem: str = "", wait: timedelta | None = None) -> None:
    """:param wait: after which it is tried again by itself."""
    instant = now()
    message.hold, message.problem = hold, problem[:PROBLEM_LENGTH]
    message.held_at = max(message.thread.last_activity_at, instant)
    message.not_before = None if wait is None else instant + wait
    message.save(update_fields=["hold", "held_at", "not_before", "problem", "updated_at"])
    threads.tell_watchers(message.thread_id)


def _send(message: QueuedMessage) -> Run | None:
    """As its person, of whose project's limits it takes a request; what refuses it is kept with it. The thread is
    locked, and free."""
    try:
        with transaction.atomic():
            run = _begin(_person_of(message), message)
            QueuedMessage.objects.filter(pk=message.pk).delete()
    except ApiError as refusal:
        _hold(message, Hold.REFUSED, refusal.message, _wait_of(refusal))
        return None
    return run


def _begin(principal: Principal, message: QueuedMessage) -> Run:
    """:raises ApiError: 429; what :func:`runs.services.creation.create_run` refuses."""
    quotas.take_request(principal, needs_tokens=True)
    begun = creation.create_run(
        principal=acting_in(principal, message.environment),
        thread_id=message.thread_id,
        assistant_id=message.assistant_id,
        additional_messages=[message.draft],
    )
    return begun.run


def _wait_of(refusal: ApiError) -> timedelta | None:
    """What a limit refuses is waited for; somebody may raise it meanwhile, so that is looked at each minute."""
    seconds = next((value for name, value in refusal.headers.items() if name.lower() == "retry-after"), None)
    if refusal.status != HTTPStatus.TOO_MANY_REQUESTS or seconds is None:
        return None
    return min(timedelta(seconds=int(seconds)), LONGEST_WAIT)


def _person_of(message: QueuedMessage) -> Principal:
    """:raises ApiError: 403, they have left the project."""
    principal = credentials.principal_of_person(message.user_id, message.project_id)
    if principal.project_id != message.project_id:
        raise ApiError(NO_MEMBER, status=403, code="no_project")
    return principal
