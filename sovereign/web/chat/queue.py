"""What waits on a thread while an answer is written, for the page that shows it and lets its person change it."""

from __future__ import annotations

from typing import Any

from runs.models import Run
from runs.outbox import services as outbox
from runs.outbox.rendering import queues_of, render
from runs.rendering import render_run_row
from sovereign.core.api.validation import StrictChoice, StrictNumber, StrictString
from sovereign.web.chat.answers import Asked, json_page
from threads.api.serializers import MessageRequest


class QueuedRequest(MessageRequest):
    """A message as runs take it, and who is to answer it."""

    role = StrictChoice(choices=["user"])
    metadata = None  # type: ignore[assignment]
    assistant_id = StrictString(max_length=64)
    environment = StrictString(max_length=64, required=False, allow_null=True)


class ChangedRequest(QueuedRequest):
    place = StrictNumber(integer=True, minimum=0, maximum=outbox.MOST_WAITING, required=False)


@json_page("POST")
def ask(asked: Asked, thread_id: str) -> Any:
    """What is written in the box: ``{"run": …}``, the contract's, that answers it; or, where something goes before it,
    the :func:`_queue` in which it waits."""
    thread, given = asked.own_thread(thread_id), _fields(QueuedRequest.checked(asked.body))

    def act() -> dict[str, Any]:
        said = outbox.say(principal=asked.principal, thread_id=thread.id, **given)
        return {"run": render_run_row(said)} if isinstance(said, Run) else {}

    return asked.once(act) or _queue(asked, thread.id)


@json_page("GET", "POST")
def queue(asked: Asked, thread_id: str) -> Any:
    """``GET``: ``{"data": […]}``, all that waits, whole. ``POST``: one message more; told is the :func:`_queue`."""
    thread = asked.own_thread(thread_id)
    if asked.is_read:
        return {"data": [render(row) for row in outbox.list_queue(principal=asked.principal, thread_id=thread.id)]}
    given = _fields(QueuedRequest.checked(asked.body))
    asked.once(lambda: outbox.add(principal=asked.principal, thread_id=thread.id, **given).pk)
    return _queue(asked, thread.id)


@json_page("POST", "DELETE")
def message(asked: Asked, thread_id: str, message_id: str) -> Any:
    """Change a message that waits, or its place; or withdraw it."""
    names = {"principal": asked.principal, "thread_id": asked.own_thread(thread_id).id, "message_id": message_id}
    if asked.request.method == "DELETE":
        outbox.withdraw(**names)
    else:
        outbox.change(**names, **_fields(ChangedRequest.checked(asked.body, partial=True)))
    return _queue(asked, thread_id)


@json_page("POST")
def send(asked: Asked, thread_id: str) -> Any:
    """Send the first one, whatever held it. Where it is refused once more, the queue says why."""
    outbox.send_now(principal=asked.principal, thread_id=asked.own_thread(thread_id).id)
    return _queue(asked, thread_id)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    given.pop("role", None)
    if "attachments" in given:
        given["attachments"] = given["attachments"] or []
    return given


def _queue(asked: Asked, thread_id: str) -> dict[str, Any]:
    """``{"queue": […]}`` as the thread's socket tells it."""
    return {"queue": queues_of([thread_id]).get(thread_id, {}).get(int(asked.principal.user_id or 0), [])}
