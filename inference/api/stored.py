"""Stored chat completions: what is asked of their lists, and how they are shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from django.db.models import F, Func, TextField, Value
from django.db.models.functions import Cast, Length
from django.http import QueryDict

from inference.models import StoredCompletion
from inference.querysets import StoredCompletionQuerySet
from sovereign.core.api.pagination import BY_CREATION, Page, page_of, rows_of
from sovereign.core.api.validation import METADATA_PAIRS
from sovereign.core.errors import ApiError

MOST_STORED = 1024 * 1024  # bytes of a request that is stored
MOST_ANSWERED = 2 * 1024 * 1024  # bytes of its answer
MOST_LISTED = 8 * 1024 * 1024  # characters of one page of a list; what does not fit comes with the next
METADATA = re.compile(r"metadata\[(.{1,64})\]", re.DOTALL)
#: What a stored answer says of its request, and what that was where it said nothing.
ECHOED: dict[str, Any] = {
    "tool_choice": None,
    "seed": None,
    "top_p": 1.0,
    "temperature": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "tools": None,
    "response_format": None,
}


class ValueOfKey(Func):
    """The text under a key of a JSON object, whatever the key looks like: Django takes ``1`` for a place in a list.

    In SQLite's paths a key cannot be quoted so that every key is found: its pairs are looked through.
    """

    function = "jsonb_extract_path_text"
    output_field = TextField()

    def __init__(self, field: str, key: str) -> None:
        super().__init__(F(field), Value(key, TextField()))

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:
        pairs = "(SELECT value FROM json_each(%(expressions)s)"
        return self.as_sql(compiler, connection, template=pairs, arg_joiner=") WHERE key = ")


def check_storable(size: int) -> None:
    """:raises ApiError: 400, a request of ``size`` bytes is not stored."""
    if size > MOST_STORED:
        raise ApiError(
            f"The request is too large to be stored: it has {size} bytes, and what is stored can have {MOST_STORED}. "
            "Send it without 'store'.",
            param="store",
            code="too_large_to_store",
        )


def check_answer_storable(size: int) -> None:
    """:raises ApiError: 400, an answer of ``size`` bytes is not stored."""
    if size > MOST_ANSWERED:
        raise ApiError(
            f"The answer is too large to be stored: it has {size} bytes, and what is stored can have {MOST_ANSWERED}. "
            "Ask for less, or without 'store'.",
            param="store",
            code="too_large_to_store",
        )


def filtered(rows: StoredCompletionQuerySet, query: QueryDict) -> StoredCompletionQuerySet:
    """Those of ``rows`` that a list's ``model`` and ``metadata[key]`` ask for.

    :raises ApiError: 400, more pairs than an object can have.
    """
    if model := query.get("model"):
        rows = rows.filter(model=model)
    pairs = [(found[1], value) for name, value in query.items() if (found := METADATA.fullmatch(name))]
    if len(pairs) > METADATA_PAIRS:
        raise ApiError(f"At most {METADATA_PAIRS} pairs of metadata can be asked for.", param="metadata")
    for number, (key, value) in enumerate(pairs):
        rows = rows.alias(**{f"pair_{number}": ValueOfKey("metadata", key)}).filter(**{f"pair_{number}": value})
    return rows


def page_of_stored(query: QueryDict) -> Page:
    """Oldest first, where nothing else is said."""
    asked: dict[str, str] = {name: str(query[name]) for name in ("limit", "order", "after") if name in query}
    return page_of({"order": "asc", **asked})


def page_that_fits(rows: StoredCompletionQuerySet, page: Page) -> Page:
    """``page`` with as many rows as may be held at once, at least one."""
    size = Length(Cast("answer", TextField())) + Length(Cast("request", TextField()))
    measured: list[Any] = rows_of(rows.only(*BY_CREATION).annotate(size=size), page, BY_CREATION)
    left = MOST_LISTED
    for number, row in enumerate(measured):
        left -= row.size
        if left < 0:
            return replace(page, limit=min(page.limit, max(number, 1)))
    return page


def render_stored(completion: StoredCompletion) -> dict[str, Any]:
    answer, request = completion.answer, completion.request
    echoed = {name: request.get(name, default) for name, default in ECHOED.items()}
    return {
        **answer,
        **echoed,
        "request_id": None,
        "input_user": request.get("user"),
        "metadata": completion.metadata,
    }


def render_messages(completion: StoredCompletion, page: Page) -> dict[str, Any]:
    """A page of what was asked."""
    messages = [_message(f"{completion.id}-{index}", one) for index, one in enumerate(completion.messages)]
    if page.descending:
        messages.reverse()
    if page.after is not None:
        places = [index for index, message in enumerate(messages) if message["id"] == page.after]
        if not places:
            raise ApiError(f"No object found with id '{page.after[:64]}'.", param="after", code="invalid_cursor")
        messages = messages[places[0] + 1 :]
    shown = messages[: page.limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(messages) > page.limit,
    }


def _message(identifier: str, message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    shown = {
        "id": identifier,
        "role": message["role"],
        "content": None if parts else content,
        "name": message.get("name"),
        "refusal": message.get("refusal"),
        "content_parts": parts,
    }
    kept = {name: message[name] for name in ("tool_calls", "tool_call_id", "function_call") if message.get(name)}
    return shown | kept
