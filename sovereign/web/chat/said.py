"""What is said in a person's conversation, for the page: messages as HTML, and the passages that they cite."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext

from assistants.knowledge.models import File
from runs.services.passages import passage_of
from sovereign.core.errors import ApiError
from sovereign.web.chat.answers import Asked, json_page
from sovereign.web.rendering.conversations import rendered_answers
from threads.models import Message

MESSAGES = 100  # that one request may ask for
NEW_TEXT = 300_000  # characters that one request has read as Markdown; the page asks for the others again


@json_page("GET")
def rendered(asked: Asked, thread_id: str) -> dict[str, Any]:
    """``?message=…&message=…``: ``{"data": {id: [the HTML of each of its texts]}}``, of messages that are whole.

    See :func:`rendered_answers`. Of what is not on the thread, or is being written, there is nothing; and where much of
    it was never asked for before, only of the first ones: at least of one.
    """
    thread = asked.own_thread(thread_id)
    ids = asked.request.GET.getlist("message")[:MESSAGES]
    whole = Message.objects.of_thread(thread.pk).filter(pk__in=ids).exclude(status=Message.Status.IN_PROGRESS)
    return rendered_answers(whole.order_by("position"), room=NEW_TEXT)


@json_page("GET")
def passage(asked: Asked, thread_id: str) -> dict[str, Any]:
    """``?message=…&annotation=N``: ``{"data": {"name", "text", "is_deleted": the file is}}``, of what it cites.

    :raises ApiError: 404, in the reader's words, where there is nothing to show.
    """
    thread = asked.own_thread(thread_id)
    message = Message.objects.of_thread(thread.pk).filter(pk=asked.request.GET.get("message", "")).first()
    number = asked.request.GET.get("annotation", "")
    found = None
    if message is not None and number.isascii() and number.isdecimal() and len(number) < 5:
        found = passage_of(message, int(number))
    if found is None:
        words = gettext("What was found for this answer is not kept any more.")
        raise ApiError(words, status=HTTPStatus.NOT_FOUND, code="passage_not_found")
    is_there = File.objects.filter(project_id=thread.project_id, pk=found.file_id).exists()
    return {"data": {"name": found.name, "text": found.text, "is_deleted": not is_there}}
