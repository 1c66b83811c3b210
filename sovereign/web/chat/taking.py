"""Taking a conversation along: as a file, or on paper."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from assistants.knowledge.models import File
from assistants.models import Assistant
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from sovereign.web.chat.people import own_thread, person_of, principal_of
from sovereign.web.rendering.conversations import fitting, shown
from threads.answers import in_answers, joined
from threads.exporting import SUFFIXES, begin_export, exported
from threads.models import Message, Thread

PRINTED = 2_000  # messages, the newest: the other formats take all
PRINTED_TEXT = 300_000  # characters of them


@require_safe
@login_required
def export(request: HttpRequest, thread_id: str, kind: str) -> HttpResponseBase:
    """One of the person's own threads as a file. :raises Http404: no such thread, no such kind of file."""
    thread, principal = _own(request, thread_id)
    if kind not in SUFFIXES:
        raise Http404("no such kind of file")
    thread = begin_export(principal=principal, thread_id=thread.pk, kind=kind)
    answer = StreamingHttpResponse(exported([thread], kind), content_type=SUFFIXES[kind])
    answer["Content-Disposition"] = f'attachment; filename="{thread.pk}.{kind}"'
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "no-store"
    return answer


@require_safe
@login_required
def printed(request: HttpRequest, thread_id: str) -> HttpResponse:
    """One of the person's own threads as a page for paper: the browser makes a PDF of it."""
    thread, principal = _own(request, thread_id)
    thread = begin_export(principal=principal, thread_id=thread.pk, kind="print")
    context = {"thread": thread, **_said(thread)}
    response = render(request, "web/chat/print.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _own(request: HttpRequest, thread_id: str) -> tuple[Thread, Principal]:
    """:raises Http404: unknown, deleted, somebody else's."""
    try:
        thread = own_thread(request, principal_of(request), thread_id)
        return thread, credentials.principal_of_person(person_of(request), thread.project_id)
    except ApiError as error:
        raise Http404(error.message) from None


def _said(thread: Thread) -> dict[str, Any]:
    newest = Message.objects.of_thread(thread.pk).exclude(status=Message.Status.IN_PROGRESS).order_by("-position")
    rows = list(newest[: PRINTED + 1])[::-1]
    whole = [joined(parts) for parts in in_answers(rows)]
    messages = whole[1:] if len(rows) > PRINTED else whole  # of the first one something may be missing
    said = fitting(messages[::-1], PRINTED_TEXT)[::-1]
    asked = {message.assistant_id for message in said if message.assistant_id}
    names = dict(Assistant.objects.filter(project_id=thread.project_id, pk__in=asked).values_list("id", "name"))
    attached = {attachment.get("file_id") for message in said for attachment in message.attachments}
    files = dict(File.objects.filter(project_id=thread.project_id, pk__in=attached).values_list("id", "filename"))
    return {"messages": shown(said, names=names, files=files), "is_cut": len(whole) > len(said)}
