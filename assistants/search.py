"""Finding assistants by words: in their names, descriptions, instructions, tags and types, the best first.

The database ranks: Postgres by a ``tsvector`` that the row keeps of itself, SQLite by an FTS5 table that triggers keep
(``migrations.0012_search``). Words are taken as they are, in any language and order; the last letters may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q

from assistants.models import Assistant
from assistants.querysets import AssistantQuerySet
from assistants.ranked import following
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_READ

MOST_WORDS = 16
MOST_FOUND = 1_000  # assistants that are ranked: who wants more says more
QUERY_LENGTH = 1_000
WORD = re.compile(r"[^\W_]+")

NAME, TAGS, DESCRIPTION, INSTRUCTIONS = 1.0, 0.6, 0.4, 0.1  # how much a word counts there; the type as a tag
POSTGRES = """
SELECT id, ts_rank(%s::float4[], search_vector, asked.words) AS relevance
FROM assistants_assistant, to_tsquery('simple', %s) AS asked(words)
WHERE search_vector @@ asked.words AND id IN ({among}) ORDER BY relevance DESC, id DESC LIMIT %s
"""
SQLITE = """
SELECT id, -bm25(assistants_search, 0, %s, %s, %s, %s, %s) AS relevance
FROM assistants_search WHERE assistants_search MATCH %s AND id IN ({among}) ORDER BY relevance DESC, id DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The person or the key that made an assistant; neither is nobody."""

    user: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for besides words; what is empty asks nothing.

    :ivar tags: all of them.
    """

    types: Sequence[str] = ()
    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """:ivar relevance: 1 for the best, down to 0; where no words were asked for, ``None``."""

    assistant: Assistant
    relevance: float | None


def search(*, principal: Principal, query: str, wanted: Wanted, limit: int, after: str | None = None) -> list[Match]:
    """The assistants that have all words of ``query``, the best first; without words all, the newest first.

    :param limit: how many at most.
    :param after: the id of the assistant that they follow.
    :raises ApiError: 400, ``after`` is not among what is found; 403.
    """
    principal.require(ASSISTANTS_READ)
    among = _among(principal, wanted)
    words = [word.lower() for word in WORD.findall(query)][:MOST_WORDS]
    if query.strip() and not words:  # signs alone
        return []
    relevance = _by_relevance(words, among) if words else _by_age(among)
    page = following(list(relevance), after)[:limit]
    found = among.in_bulk(page)
    return [Match(found[pk], relevance[pk]) for pk in page if pk in found]


def _among(principal: Principal, wanted: Wanted) -> AssistantQuerySet:
    rows: AssistantQuerySet = Assistant.objects.visible_to(principal).order_by()
    if wanted.types:
        rows = rows.filter(type__in=wanted.types)
    if wanted.statuses:
        rows = rows.filter(status__in=wanted.statuses)
    if wanted.owner is not None:
        rows = rows.filter(_made_by(wanted.owner))
    for tag in wanted.tags:
        rows = rows.filter(tags__has_item=tag)
    return rows


def _made_by(owner: Owner) -> Q:
    if owner.user is not None:
        return Q(created_by_user=owner.user)
    return Q(pk__in=[]) if owner.key is None else Q(created_by_key=owner.key)


def _by_age(among: AssistantQuerySet) -> dict[str, float | None]:
    return dict.fromkeys(among.order_by("-created_at", "-id").values_list("pk", flat=True)[:MOST_FOUND])


def _by_relevance(words: Sequence[str], among: AssistantQuerySet) -> dict[str, float | None]:
    try:
        sql, parameters = among.values("pk").query.sql_with_params()
    except EmptyResultSet:  # nobody's
        return {}
    asked: list[Any]
    if connection.vendor == "postgresql":
        query = POSTGRES
        asked = [[INSTRUCTIONS, DESCRIPTION, TAGS, NAME], " & ".join(f"{word}:*" for word in words)]
    else:
        query = SQLITE
        asked = [NAME, TAGS, TAGS, DESCRIPTION, INSTRUCTIONS, " AND ".join(f'"{word}"*' for word in words)]
    with connection.cursor() as cursor:
        cursor.execute(query.format(among=sql), [*asked, *parameters, MOST_FOUND])
        rows = cursor.fetchall()
    best = rows[0][1] if rows else 0.0
    return {pk: round(relevance / best, 4) if best > 0 else 0.0 for pk, relevance in rows}
