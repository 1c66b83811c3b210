"""The only door for changing threads and messages.

Lock order everywhere: threads by id, then runs by id, then other rows. A thread's row lock guards its messages'
positions and the one active run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from assistants.knowledge.services import resources
from assistants.knowledge.services.resources import THREAD_STORE_DAYS
from sovereign.accounts import audit
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_WRITE
from sovereign.core import bus, errors
from sovereign.core.database import now, only_row, service, visible_row
from sovereign.core.ids import instant_of
from threads import summaries
from threads.models import MAXIMUM_MESSAGES, TITLE_LENGTH, Message, Thread

#: What the rooms above do with a locked thread (its id) before it is deleted; they add to it when they start.
before_deletion: list[Callable[[str], None]] = []
#: What they do with a locked thread (its id) that has lost summaries with a message that was in them.
after_forgetting: list[Callable[[str], None]] = []

NOTED_FOR = timedelta(hours=1)  # a reading of another member's chat stands for those that follow it

# ------------------------------------------------------------------------------------------------ threads


def get_thread(*, principal: Principal, thread_id: str) -> Thread:
    """:raises ApiError: 404, for an unknown thread and for one the principal may not see alike."""
    thread = visible_row(Thread, principal, thread_id)
    if thread is None:
        raise errors.not_found("thread", thread_id)
    return thread


def note_reading(*, principal: Principal, thread: Thread) -> None:
    """Record that somebody reads another member's chat, or a visitor's: once an hour, however often they ask.

    Nothing is asked or written for threads without an owner and for one's own.
    """
    if principal.visitor_id is None and thread.visitor_id is not None:
        is_others = True
    else:
        is_others = thread.owner_id is not None and thread.owner_id != principal.user_id
    if is_others and not _is_noted(principal, thread):
        _record_reading(principal, thread)


def _is_noted(principal: Principal, thread: Thread) -> bool:
    readings = AuditEvent.objects.about(thread).by(principal).filter(action="thread.read")
    return readings.filter(created_at__gt=timezone.now() - NOTED_FOR).exists()


@service
def _record_reading(principal: Principal, thread: Thread) -> None:
    lock_threads([thread.pk])  # of two who look at once one writes
    if not _is_noted(principal, thread):
        audit.record(principal, "thread.read", thread)


def lock_thread(*, principal: Principal, thread_id: str) -> Thread:
    """The thread with its row locked until the end of the transaction. Raises like :func:`get_thread`."""
    thread = visible_row(Thread, principal, thread_id, lock=True)
    if thread is None:
        raise errors.not_found("thread", thread_id)
    return thread


def lock_threads(thread_ids: Iterable[str]) -> dict[str, Thread]:
    """Lock the threads of runs (no principal: the worker's and the reaper's way), in the order of their ids."""
    rows = Thread.objects.select_for_update(no_key=True).filter(pk__in=set(thread_ids)).order_by("id")
    return {thread.id: thread for thread in rows}


@service
def create_thread(
    *,
    principal: Principal,
    messages: Sequence[dict[str, Any]] = (),
    metadata: dict[str, str] | None = None,
    tool_resources: dict[str, Any] | None = None,
    title: str = "",
) -> Thread:
    """Make a thread, with its first messages; a person's own when a person makes it.

    :raises ApiError: 404 for files and vector stores that do not exist.
    """
    principal.require(THREADS_WRITE)
    thread = Thread.objects.create(
        project_id=principal.project_id,
        owner_id=principal.user_id,
        visitor_id=principal.visitor_id,
        metadata=metadata or {},
        tool_resources=_settled(principal, tool_resources),
        title=title[:TITLE_LENGTH],
    )
    append_messages(principal=principal, thread=thread, drafts=messages)
    audit.record(principal, "thread.created", thread)
    return thread


@service
def update_thread(*, principal: Principal, thread_id: str, **fields: Any) -> Thread:
    """Change ``metadata``, ``tool_resources`` or ``title``; ``None`` empties one. Raises like :func:`create_thread`."""
    principal.require(THREADS_WRITE)
    thread = lock_thread(principal=principal, thread_id=thread_id)
    if "tool_resources" in fields:
        fields["tool_resources"] = _settled(principal, fields["tool_resources"])
    for name, value in fields.items():
        setattr(thread, name, value if value is not None else {})
    thread.save(update_fields=sorted(fields))
    return thread


def _settled(principal: Principal, wanted: dict[str, Any] | None) -> dict[str, Any]:
    """Tool resources as they are stored; a store that is made for a thread expires after a week without use."""
    return resources.settle(principal=principal, resources=wanted or {}, expires_after_days=THREAD_STORE_DAYS)


@service
def delete_thread(*, principal: Principal, thread_id: str) -> None:
    """Delete a thread with its messages and runs; a run at work on it is dropped by its worker."""
    principal.require(THREADS_WRITE)
    lock_with_other(get_thread(principal=principal, thread_id=thread_id))
    remove(principal, lock_thread(principal=principal, thread_id=thread_id))


def lock_with_other(thread: Thread) -> dict[str, Thread]:
    """As :func:`lock_threads`, for a thread and the one that it is compared with, where there is one."""
    return lock_threads(filter(None, (thread.pk, thread.compared_with)))


def remove(principal: Principal | None, thread: Thread) -> None:
    """Delete a thread. The one that it is compared with becomes a conversation like any other, which lists have.

    The caller has locked both (:func:`lock_with_other`).

    :param principal: ``None`` for the product itself.
    """
    for prepare in before_deletion:
        prepare(thread.id)
    Thread.objects.filter(pk=thread.compared_with, compared_with=thread.pk).update(compared_with=None)
    audit.record(principal, "thread.deleted", thread)
    tell_watchers(thread.id)
    thread.delete()


def tell_watchers(thread_id: str) -> None:
    """Who watches the thread looks at it anew once this transaction is committed."""
    transaction.on_commit(partial(bus.publish, bus.THREAD_CHANGED, {"thread": thread_id}))


# ------------------------------------------------------------------------------------------------ the lock


def occupy(thread: Thread, run_id: str) -> None:
    """Make ``run_id`` the thread's active run; the thread is locked by the caller.

    :raises ApiError: 400, another run is active (clients parse this text).
    """
    taken = Thread.objects.filter(pk=thread.pk, active_run_id__isnull=True).update(active_run_id=run_id)
    if not taken:
        active = thread.active_run_id or Thread.objects.values_list("active_run_id", flat=True).get(pk=thread.pk)
        raise errors.ApiError(f"Thread {thread.id} already has an active run {active}.")
    thread.active_run_id = run_id
    tell_watchers(thread.pk)


def release(thread_id: str, run_id: str) -> None:
    """End a run's hold on its thread; nothing happens where another run holds it already."""
    Thread.objects.filter(pk=thread_id, active_run_id=run_id).update(active_run_id=None, last_activity_at=now())
    tell_watchers(thread_id)


# ------------------------------------------------------------------------------------------------ messages


def get_message(*, principal: Principal, thread_id: str, message_id: str) -> Message:
    """:raises ApiError: 404 for the thread or the message."""
    return _message_in(get_thread(principal=principal, thread_id=thread_id), message_id)


def _message_in(thread: Thread, message_id: str) -> Message:
    message: Message | None = only_row(Message.objects.of_thread(thread.id).filter(pk=message_id))
    if message is None:
        raise errors.not_found("message", message_id)
    message.thread = thread
    return message


@service
def create_message(*, principal: Principal, thread_id: str, **fields: Any) -> Message:
    """Append a message.

    :raises ApiError: 400 while a run is active, since the answer would not know of the message; 404 for files that do
        not exist.
    """
    principal.require(THREADS_WRITE)
    thread = lock_thread(principal=principal, thread_id=thread_id)
    if thread.active_run_id:
        raise errors.ApiError(f"Can't add messages to {thread.id} while a run {thread.active_run_id} is active.")
    (message,) = append_messages(principal=principal, thread=thread, drafts=[fields])
    tell_watchers(thread.pk)
    return message


@service
def update_message(*, principal: Principal, thread_id: str, message_id: str, **fields: Any) -> Message:
    """Replace a message's ``metadata`` where it is given (``None`` empties it): the one thing that may change.

    :raises ApiError: 404 for the thread or the message (the thread's lock keeps it from being deleted meanwhile).
    """
    principal.require(THREADS_WRITE)
    message = _message_in(lock_thread(principal=principal, thread_id=thread_id), message_id)
    if "metadata" in fields:
        message.metadata = fields["metadata"] or {}
        message.save(update_fields=["metadata"])
    return message


@service
def delete_message(*, principal: Principal, thread_id: str, message_id: str) -> None:
    """:raises ApiError: 404; 400 while a run is writing the message (the thread's lock keeps it from being ended)."""
    principal.require(THREADS_WRITE)
    message = _message_in(lock_thread(principal=principal, thread_id=thread_id), message_id)
    if message.status == Message.Status.IN_PROGRESS:
        raise errors.ApiError(f"Can't delete message {message.id} while run {message.run_id} is writing it.")
    audit.record(principal, "message.deleted", message)
    forget_summaries(thread_id, message.position)
    message.delete()


def forget_summaries(thread_id: str, position: int) -> None:
    """Drop the summaries that hold the message at a position, which models are to see no more; the thread is locked."""
    if summaries.forget(thread_id, position):
        for follow in after_forgetting:
            follow(thread_id)


def append_messages(*, principal: Principal, thread: Thread, drafts: Sequence[dict[str, Any]]) -> list[Message]:
    """As :func:`add_messages`, for what a client sends: its attachments go to the thread's tools.

    :raises ApiError: 404 for the first file that does not exist.
    """
    resources.check_files(principal=principal, file_ids=[file_id for draft in drafts for file_id in _images_of(draft)])
    attachments = [attachment for draft in drafts for attachment in draft.get("attachments") or []]
    if attachments:
        thread.tool_resources = resources.attach(
            principal=principal, resources=thread.tool_resources, attachments=attachments
        )
        thread.save(update_fields=["tool_resources"])
    return add_messages(thread, drafts)


def _images_of(draft: dict[str, Any]) -> list[str]:
    """The files that a message's content shows."""
    content = draft["content"]
    parts = [] if isinstance(content, str) else content
    return [part["image_file"]["file_id"] for part in parts if part["type"] == "image_file"]


def add_messages(thread: Thread, drafts: Sequence[dict[str, Any]]) -> list[Message]:
    """Append messages in the order given; the thread is locked (or made) by the caller's transaction.

    :param drafts: ``role`` and ``content`` (a string or the contract's parts), with ``attachments`` and ``metadata``;
        of a message that is ``copied_from`` another thread its id, its ``assistant_id``, parts as they are kept, and
        ``goes_on_with``.
    """
    if not drafts:
        return []
    if thread.last_position + len(drafts) > MAXIMUM_MESSAGES:
        raise errors.ApiError(f"Thread {thread.id} has reached {MAXIMUM_MESSAGES} messages.", code="thread_too_long")
    messages = [
        Message(
            project_id=thread.project_id,
            thread=thread,
            position=thread.last_position + offset,
            role=draft["role"],
            content=content_parts(draft["content"]),
            attachments=draft.get("attachments") or [],
            metadata=draft.get("metadata") or {},
            assistant_id=draft.get("assistant_id"),
            copied_from=draft.get("copied_from"),
            goes_on_with=draft.get("goes_on_with"),
        )
        for offset, draft in enumerate(drafts, start=1)
    ]
    for message in messages:  # what a client sends is complete from the first instant
        message.created_at = message.completed_at = instant_of(message.id) or now()
    Message.objects.bulk_create(messages)
    thread.last_position += len(messages)
    thread.last_activity_at = messages[-1].created_at
    if not thread.title:
        thread.title = title_by(messages[0])
    thread.save(update_fields=["last_position", "last_activity_at", "title"])
    return messages


def title_by(message: Message) -> str:
    """What a thread is called that nobody gave a title, by its first message."""
    return message.text.strip().split("\n")[0][:TITLE_LENGTH]


def open_message(
    thread: Thread,
    *,
    message_id: str,
    run_id: str,
    assistant_id: str,
    attachments: Sequence[dict[str, Any]] = (),
    goes_on_with: str | None = None,
) -> Message:
    """An assistant's message that is being written; the thread is locked by the caller.

    :param goes_on_with: the message before it, with which it is one answer.
    """
    thread.last_position += 1
    message = Message.objects.create(
        id=message_id,
        project_id=thread.project_id,
        thread=thread,
        position=thread.last_position,
        role=Message.Role.ASSISTANT,
        status=Message.Status.IN_PROGRESS,
        assistant_id=assistant_id,
        run_id=run_id,
        attachments=[*attachments],
        goes_on_with=goes_on_with,
    )
    thread.save(update_fields=["last_position"])
    return message


def close_message(
    message_id: str, *, content: list[dict[str, Any]], incomplete_reason: str | None = None
) -> Message | None:
    """End a message that was being written, complete or (with a reason) not; ``None`` where it is gone."""
    message: Message | None = Message.objects.filter(pk=message_id).first()
    if message is None:
        return None
    message.content = content
    if incomplete_reason is None:
        message.status, message.completed_at = Message.Status.COMPLETED, now()
    else:
        message.status, message.incomplete_at = Message.Status.INCOMPLETE, now()
        message.incomplete_details = {"reason": incomplete_reason}
    message.save(update_fields=["content", "status", "completed_at", "incomplete_at", "incomplete_details"])
    return message


def content_parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The contract's output form of what a client may send as content; parts that have it already stay."""
    if isinstance(content, str):
        return [text_part(content)]
    return [text_part(part["text"]) if isinstance(part.get("text"), str) else part for part in content]


def text_part(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}
