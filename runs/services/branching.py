"""A question put otherwise, or an answer made again, without a change of what there is: on a branch of the thread."""

from __future__ import annotations

from typing import Any

from assistants.knowledge.services.resources import still_there
from runs.services import again, creation
from runs.services.creation import Begun
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_WRITE
from sovereign.core import errors
from sovereign.core.database import service
from threads import branches
from threads.models import Message
from threads.services import get_message, note_reading


@service
def branch(
    *,
    principal: Principal,
    thread_id: str,
    message_id: str,
    assistant_id: str,
    said: dict[str, Any] | None = None,
    version: str | None = None,
    model: str | None = None,
) -> Begun:
    """A branch of the thread and the run that answers on it, in one transaction.

    :param message_id: a person's message, in whose place something else is ``said``; or an assistant's, in whose place
        the question before it is answered again.
    :param said: ``content``, and ``attachments`` where they are other than the message's that are still
        there, as the contract has them.
    :param version: as for :func:`runs.services.creation.create_run`.
    :param model: in place of the assistant's.
    :raises ApiError: as ``create_run`` does; 404 for the message; 400 where it cannot be said otherwise or answered
        again.
    """
    principal.require(RUNS_WRITE)
    message = get_message(principal=principal, thread_id=thread_id, message_id=message_id)
    note_reading(principal=principal, thread=message.thread)
    _refuse_unfitting(message, said)
    after = message.position - 1 if said is not None else _question_before(message)
    made = branches.begin(
        principal=principal,
        source=message.thread,
        message=message,
        after=after,
        without=again.marked_in(thread_id).superseded,
    )
    request: dict[str, Any] = {} if model is None else {"model": model}
    if said is not None:
        if "attachments" not in said:
            said = {**said, "attachments": still_there(principal=principal, attachments=message.attachments)}
        request["additional_messages"] = [{"role": "user", **said}]
    return creation.create_run(
        principal=principal, thread_id=made.pk, assistant_id=assistant_id, version=version, **request
    )


def _refuse_unfitting(message: Message, said: dict[str, Any] | None) -> None:
    if message.status == Message.Status.IN_PROGRESS:
        raise errors.ApiError("This answer is still being written. Stop it or wait for its end.", code="run_active")
    if (said is not None) != (message.role == Message.Role.USER):
        words = "only answers are made again" if said is None else "only messages of people are said otherwise"
        raise errors.ApiError(f"This cannot be done with this message: {words}.", param="message")


def _question_before(answer: Message) -> int:
    """The position of the message that it answers; 0 where it answers none."""
    asked = Message.objects.of_thread(answer.thread_id).filter(role=Message.Role.USER, position__lt=answer.position)
    return asked.order_by("-position").values_list("position", flat=True).first() or 0
