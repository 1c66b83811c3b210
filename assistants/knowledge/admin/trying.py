"""The box on a store's page: a question, and the pieces of text that an assistant would be given for it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.urls import reverse

from assistants.knowledge.admin import wording
from assistants.knowledge.embedding import ASKED_FOR
from assistants.knowledge.models import VectorStore
from assistants.knowledge.retrieval.search import Found, Hit, search
from assistants.knowledge.services import stores
from inference.api.conversation import attribution_of
from inference.chat import InferenceError
from inference.embedder import OWN_NAME
from inference.resolution import LOCAL, Target, resolve
from sovereign.accounts.principals import Principal
from sovereign.core.asgi import LaterResponse
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError

MOST = 10  # chunks that are shown
LONGEST = 4_096  # characters of a question
#: How it was searched, in words.
MODES = {
    "hybrid": "found by meaning and by words",
    "vectors": "found by meaning alone",
    "keywords": "found by words alone",
}
ENGLISH = "Meaning is understood in English only: texts and questions in other languages are found by their words."
TEMPLATE = "admin/knowledge/try.html"


def question_of(request: HttpRequest) -> str | None:
    """What is asked in ``?query=``; ``None`` where nothing is."""
    return request.GET.get("query", "")[:LONGEST].strip() or None


def caution(project_id: str) -> str:
    """What to know of the embedder that is shipped; empty where another model, or none, makes the vectors."""
    try:
        target = resolve(ASKED_FOR, project_id, "embeddings")
    except (ApiError, InferenceError):
        return ""
    return ENGLISH if target == Target(OWN_NAME, LOCAL) else ""


def answered(
    request: HttpRequest, page: TemplateResponse, store: VectorStore, principal: Principal, question: str
) -> LaterResponse:
    """The page, with what is found: the event loop waits for the embedder, and no thread.

    :param page: not rendered yet.
    """
    get_token(request)  # middleware sets its cookie before the page is rendered
    context: dict[str, Any] = page.context_data or {}
    context["messages"] = list(get_messages(request))
    later = LaterResponse(partial(_answer, page, context, store, principal, question))
    later["Content-Type"] = page["Content-Type"]  # by which middleware chooses the page's policy
    return later


async def _answer(
    page: TemplateResponse, context: dict[str, Any], store: VectorStore, principal: Principal, question: str
) -> HttpResponseBase:
    begun = time.perf_counter()
    try:
        found = await _found(store, principal, question)
    except (ApiError, InferenceError) as error:
        context["problem"] = error.message
    else:
        context["found"] = _shown(found, time.perf_counter() - begun)
    page.context_data = context
    rendered: HttpResponseBase = await in_database(page.render)
    return rendered


async def _found(store: VectorStore, principal: Principal, question: str) -> Found:
    await in_database(stores.check_unexpired, store)
    return await search(
        project_id=store.project_id,
        store_ids=[store.pk],
        queries=[question],
        limit=MOST,
        attribution=attribution_of(principal, "embedding"),
    )


def _shown(found: Found, seconds: float) -> dict[str, Any]:
    return {
        "count": wording.pieces(len(found.hits)),
        "how": f"{MODES[found.mode]}, in {seconds * 1000:.0f} ms",
        "note": found.note,
        "hits": [_hit(hit) for hit in found.hits],
    }


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "filename": hit.filename,
        "address": reverse("admin:knowledge_file_change", args=[quote(hit.file_id)]),
        "number": hit.position + 1,
        "tokens": hit.tokens,
        "score": f"{hit.score:.3f}",
        "text": hit.text,
    }
