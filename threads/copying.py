"""The beginning of a thread on a thread of its own, where it is answered once more: the first one stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import Any

from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_WRITE
from sovereign.core import errors
from sovereign.core.database import service
from threads import context, services, summaries
from threads.context import Past
from threads.models import TITLE_LENGTH, Message, Thread
from threads.querysets import MessageQuerySet

MOST_COPIED = 5_000  # of a thread's messages, the newest, beside the first one: writing them takes a second
AT_ONCE = 500  # messages that are read and written together


@service
def copy_thread(
    *,
    principal: Principal,
    source: Thread,
    past: Past,
    title: str,
    metadata: dict[str, str] | None = None,
    without: Collection[str] = (),
    **fields: Any,
) -> Thread:
    """A new thread that says what another one said then, with the same files and the summary that there was; of more
    than ``MOST_COPIED`` messages the newest and the first one, and how many were ``left_out``.

    It is the person's who wants it. That of a key is whose the first one is: nobody else gets to read it. The first
    one is locked: of what is redacted in it meanwhile no copy is made that the redaction does not find.

    :param source: a thread that the principal may read.
    :param without: ids of runs whose messages are not copied: no model is to see them any more.
    :param fields: of the new thread: where it branches off, for one that is a branch.
    :raises ApiError: 404, it was deleted meanwhile.
    """
    principal.require(THREADS_WRITE)
    if source.pk not in services.lock_threads([source.pk]):
        raise errors.not_found("thread", source.pk)
    said = context.usable(source.pk).filter(position__lte=past.position).exclude(run_id__in=without)
    first = _first_copied(said)
    made = Thread.objects.create(
        project_id=source.project_id,
        owner_id=principal.user_id if principal.user_id is not None else source.owner_id,
        metadata=metadata or {},
        tool_resources=copy.deepcopy(source.tool_resources),
        title=title[:TITLE_LENGTH],
        left_out=source.left_out + max(0, said.filter(position__lt=first).count() - 1),
        **fields,
    )
    summary = summaries.newest(source.pk, past.at, within=past.position)
    up_to = 0  # how many of the messages are in it
    for rows in _batches(said, first):
        services.add_messages(made, [_draft(row) for row in rows])
        up_to += sum(row.position <= summary.up_to for row in rows) if summary is not None else 0
    if summary is not None:
        summaries.add(thread_id=made.pk, up_to=up_to, text=summary.text, model=summary.model)
    audit.record(principal, "thread.created", made, copied_from=source.pk)
    return made


def _first_copied(said: MessageQuerySet) -> int:
    """The position of the oldest of the newest ones, as many as are copied."""
    newest = said.order_by("-position").values_list("position", flat=True)
    return next(iter(newest[MOST_COPIED - 1 : MOST_COPIED]), 0)


def _batches(said: MessageQuerySet, first: int) -> Iterator[list[Message]]:
    """What was said first, and what was from a position on; in its order."""
    rows = said.order_by("position")
    if opening := list(rows.filter(position__lt=first)[:1]):
        yield opening
    position = first - 1
    while batch := list(rows.filter(position__gt=position)[:AT_ONCE]):
        yield batch
        position = batch[-1].position


def _draft(message: Message) -> dict[str, Any]:
    """As it is kept: whoever reads the copy finds its sources and pictures, too."""
    return {
        "role": message.role,
        "content": message.content,
        "attachments": message.attachments,
        "metadata": message.metadata,
        "assistant_id": message.assistant_id,
        "copied_from": message.copied_from or message.pk,
        "goes_on_with": message.goes_on_with,
    }
