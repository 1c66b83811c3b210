"""Redacting a message in the admin: asked once more, with what it means, then done."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from sovereign.accounts.admin.base import ProjectAdmin, page_of
from sovereign.accounts.scopes import THREADS_REDACT
from sovereign.core.errors import ApiError
from threads.models import Message, Thread
from threads.redaction import MARK, REASON_LENGTH, redact_message
from threads.services import note_reading


class RedactsMessages(ProjectAdmin):
    """The page that asks, and its button."""

    def get_urls(self) -> list[URLPattern]:
        route = "<path:object_id>/messages/<str:message_id>/redact/"
        view = self.admin_site.admin_view(self.redact_view)
        return [path(route, view, name="threads_thread_redact"), *super().get_urls()]

    def redact_view(self, request: HttpRequest, object_id: str, message_id: str) -> HttpResponse:
        """``GET``: what would be taken out. ``POST``: it is; ``reason`` is for the audit log.

        :raises Http404: the thread or the message is none, or not seen. :raises PermissionDenied: it is only seen.
        """
        thread: Thread = self.found(request, object_id, to_change=False)
        if not self.allowed(request, THREADS_REDACT, thread):
            raise PermissionDenied
        message = Message.objects.of_thread(thread.pk).filter(pk=message_id).first()
        if message is None:
            raise Http404("no such message")
        back = f"{page_of(thread)}?message={quote(message.pk)}#{message.pk}"
        if request.method == "POST":
            self._redact(request, thread, message)
            return HttpResponseRedirect(back)
        note_reading(principal=self.principal_for(request, thread), thread=thread)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": "Redact a message",
            "opts": self.opts,
            "original": thread,
            "thread": thread,
            "message": message,
            "mark": MARK,
            "longest": REASON_LENGTH,
            "back": back,
            "address": reverse("admin:threads_thread_redact", args=[quote(thread.pk), message.pk]),
        }
        return TemplateResponse(request, "admin/threads/redact.html", context)

    def _redact(self, request: HttpRequest, thread: Thread, message: Message) -> None:
        principal, reason = self.principal_for(request, thread), request.POST.get("reason", "").replace("\0", "")
        try:
            redact_message(principal=principal, thread_id=thread.pk, message_id=message.pk, reason=reason)
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, "The message is redacted.", messages.SUCCESS)
