"""One short question to a model, asked through the gateway as everybody's are: whether it answers, and how soon."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.messages import get_messages
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from inference import gateway, services
from inference.admin.usage import money
from inference.calls import EmbeddingRequest
from inference.chat import Attribution, ChatRequest, InferenceError, TextDelta
from inference.models import Engine, UsageRecord
from sovereign.accounts.admin.base import page_of
from sovereign.core.asgi import LaterResponse
from sovereign.core.database import in_database, now
from sovereign.core.visible import visible

QUESTION = "Say hello in one short sentence."
MOST_TOKENS = 32
PATIENCE = 60.0  # seconds
PURPOSE = "test"
MOST_OFFERED = 500  # models of a provider
SHOWN = 2_000  # characters of an answer
TOO_LONG = f"It did not answer within {PATIENCE:.0f} s."
NO_MODEL = "No model is known of it yet: it lists none, or does not answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is tested: ``model`` at the engine ``engine_id``, or at any that has it."""

    model: str
    makes_vectors: bool
    engine_id: str | None
    user_id: int | None


def trial_page(
    request: HttpRequest,
    site: UnfoldAdminSite,
    tested: Model,
    models: Sequence[tuple[str, bool]],
    engine_id: str | None,
) -> HttpResponseBase:
    """The page of the button; a ``POST`` from it (``model``) asks, and the page with what came of it is sent later.

    :param models: names, and whether they make vectors and nothing else; those that may be asked.
    """
    known = dict(models)
    chosen = request.POST.get("model", "") if request.method == "POST" else ""
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": f"Test {tested}",
        "opts": tested._meta,
        "address": page_of(tested),
        "models": [(name, name == chosen) for name in known],
        "question": QUESTION,
        "problem": "" if known else NO_MODEL,
    }
    page = TemplateResponse(request, "admin/inference/test.html", context)
    if chosen not in known:
        return page
    user_id = request.user.pk
    services.record_test(tested, model=chosen, user_id=user_id)
    get_token(request)  # middleware sets its cookie before the page is rendered
    context["messages"] = list(get_messages(request))
    asked = Asked(model=chosen, makes_vectors=known[chosen], engine_id=engine_id, user_id=user_id)
    later = LaterResponse(partial(_answer, page, context, asked))
    later["Content-Type"] = page["Content-Type"]  # by which middleware chooses the page's policy
    return later


def models_of(engine: Engine) -> list[tuple[str, bool]]:
    """What an engine serves, for ``trial_page``: what neither chats nor makes vectors is not asked."""
    able = {entry["id"]: engine.abilities(entry["id"]) for entry in engine.served}
    return [(name, not can.chat) for name, can in able.items() if can.chat or can.embeddings][:MOST_OFFERED]


async def _answer(page: TemplateResponse, context: dict[str, Any], asked: Asked) -> HttpResponseBase:
    context["asked"], begun = asked.model, await in_database(now)
    try:
        async with asyncio.timeout(PATIENCE):
            context["said"] = await (_vector(asked) if asked.makes_vectors else _text(asked))
    except TimeoutError:
        context["problem"] = TOO_LONG
    except InferenceError as error:
        context["problem"] = error.detail
    context["call"] = await in_database(_call, asked, begun)
    page.context_data = context
    rendered: HttpResponseBase = await in_database(page.render)
    return rendered


async def _text(asked: Asked) -> str:
    """:raises InferenceError: as the gateway does."""
    request = ChatRequest(
        model=asked.model,
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=MOST_TOKENS,
        attribution=_attribution(asked),
    )
    texts = []
    async with aclosing(gateway.stream(request, engine_id=asked.engine_id)) as deltas:
        async for delta in deltas:
            if isinstance(delta, TextDelta):
                texts.append(delta.text)
    return visible("".join(texts)[:SHOWN]) or "It answered without any text."


async def _vector(asked: Asked) -> str:
    """:raises InferenceError: as the gateway does."""
    request = EmbeddingRequest(model=asked.model, texts=[QUESTION], attribution=_attribution(asked))
    found = await gateway.embed(request, engine_id=asked.engine_id)
    return f"A vector of {len(found.vectors[0]):,} numbers."


def _attribution(asked: Asked) -> Attribution:
    """Of the house: no project's limits are asked, and none pays."""
    return Attribution(user=str(asked.user_id), purpose=PURPOSE)


def _call(asked: Asked, begun: datetime) -> dict[str, Any] | None:
    """What the call took, as it was written down; ``None`` where no engine was asked."""
    newest = UsageRecord.objects.filter(created_at__gte=begun).order_by("-created_at", "-id")
    row = newest.filter(user_id=str(asked.user_id), purpose=PURPOSE, asked=asked.model).first()
    if row is None:
        return None
    return {
        "where": row.provider or "an engine of this house",
        "model": row.model,
        "first_token_ms": row.first_token_ms,
        "total_ms": row.total_ms,
        "tokens": f"{row.prompt_tokens} in, {row.completion_tokens} out",
        "cost": money(row.cost),
        "outcome": row.outcome,
        "address": page_of(row),
    }
