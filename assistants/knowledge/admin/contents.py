"""What is in a store: the files with the state of their ingestion, for pages and for the script that watches them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse

from assistants.knowledge.admin import wording
from assistants.knowledge.models import IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.querysets import Tally

PAGE = 25  # files
TEMPLATE = "admin/knowledge/contents.html"
#: What can be done with a file that did not get in.
RETRIED = frozenset({IngestionStatus.FAILED, IngestionStatus.CANCELLED})


def contents(request: HttpRequest, store: VectorStore | None, *, may_change: bool, address: str) -> dict[str, Any]:
    """The context of ``contents.html``, in two queries.

    :param store: ``None`` where there is none yet.
    :param address: of the page that shows them; ``?state=`` and ``?files=`` (a page's number) choose among them.
    """
    tally = StoreFile.objects.tallies("store_id", [store.pk])[store.pk] if store else Tally()
    state = request.GET.get("state", "")
    state = state if state in IngestionStatus.values else ""
    chosen = getattr(tally, state) if state else tally.total
    pages = max(1, -(-chosen // PAGE))
    number = min(_number(request.GET.get("files", "")), pages)
    members = _members(store, state, number) if store and chosen else []
    return {
        "store": store,
        "summary": wording.summary(tally),
        "is_busy": tally.in_progress > 0,
        "rows": [_row(member, may_change) for member in members],
        "states": _choices(tally, state, address),
        "pages": [(page, f"{address}?state={state}&files={page}", page == number) for page in _near(number, pages)],
    }


def as_json(context: dict[str, Any], **more: Any) -> JsonResponse:
    """``{"summary", "is_busy", "html"}`` and ``more``, for the script."""
    answer = {"summary": context["summary"], "is_busy": context["is_busy"], "html": render_to_string(TEMPLATE, context)}
    return JsonResponse(answer | more, headers={"Cache-Control": "no-store"})


def _members(store: VectorStore, state: str, number: int) -> list[StoreFile]:
    rows = StoreFile.objects.filter(store=store).select_related("file").order_by("-created_at", "-file_id")
    rows = rows.filter(status=state) if state else rows
    return list(rows[(number - 1) * PAGE : number * PAGE])


def _row(member: StoreFile, may_change: bool) -> dict[str, Any]:
    store, file = quote(member.store_id), quote(member.file_id)
    return {
        "id": member.pk,
        "name": member.file.filename,
        "address": reverse("admin:knowledge_file_change", args=[file]),
        "size": wording.size(member.file.bytes),
        "state": wording.state_of(member),
        "label": wording.LABELS[IngestionStatus(member.status)],
        "percent": member.progress if member.status == IngestionStatus.IN_PROGRESS else None,
        "reason": member.error_message if member.status == IngestionStatus.FAILED else "",
        "note": member.note,
        "remove": reverse("admin:knowledge_vectorstore_remove", args=[store, file]) if may_change else "",
        "retry": reverse("admin:knowledge_vectorstore_retry", args=[store, file])
        if may_change and member.status in RETRIED
        else "",
    }


def _choices(tally: Tally, state: str, address: str) -> list[tuple[str, str, bool]]:
    """Words, address and whether it is chosen; offered where there is more than one state."""
    held = [status for status in wording.STATES if getattr(tally, status.value)]
    if len(held) < 2 and not state:
        return []
    choices = [(f"all {tally.total:,}", f"{address}?state=", not state)]
    for status in held:
        words = f"{getattr(tally, status.value):,} {wording.STATES[status]}"
        choices.append((words, f"{address}?state={status.value}", status.value == state))
    return choices


def _near(number: int, pages: int) -> list[int]:
    """The first, the last, and those around a page; nothing where one page is all."""
    return sorted({1, pages, *range(max(1, number - 2), min(pages, number + 2) + 1)}) if pages > 1 else []


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1
