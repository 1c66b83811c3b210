from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from assistants.knowledge.api.filters import FiltersField
from assistants.knowledge.api.store_objects import SearchResultsPage
from assistants.knowledge.rendering import render_search
from assistants.knowledge.retrieval.rewriting import rewritten
from assistants.knowledge.retrieval.search import Ranking, search
from assistants.knowledge.services import stores
from inference.api.answering import json_response
from inference.api.conversation import attribution_of
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import STORES_READ
from sovereign.core.api.validation import (
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse_type,
)
from sovereign.core.asgi import LaterResponse

RANKERS = ["none", "auto", "default-2024-11-15"]
DEFAULT_RESULTS, MOST_RESULTS = 10, 50
# bounds of ours: each question is searched for by itself
QUERY_LENGTH = 8_192  # characters
MOST_QUERIES = 16
PURPOSE = "embedding"


class QueryField(StrictField):
    """A question, or several that are searched for together."""

    expected = "one of a string or an array of strings"

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": QUERY_LENGTH}
        return {"oneOf": [text, {"type": "array", "minItems": 1, "maxItems": MOST_QUERIES, "items": text}]}

    def to_internal_value(self, data: Any) -> list[str]:
        text = StrictString(min_length=1, max_length=QUERY_LENGTH)
        if isinstance(data, str):
            return [text.to_internal_value(data)]
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        queries: list[str] = StrictList(child=text, minimum=1, maximum=MOST_QUERIES).run_validation(data)
        return queries


class StoreSearchRanking(StrictSerializer):
    """Which passages are good enough, and whether words count beside vectors (``none``: they do not)."""

    ranker = StrictChoice(choices=RANKERS, required=False)
    score_threshold = StrictNumber(minimum=0, maximum=1, required=False)


class SearchRequest(StrictSerializer):
    query = QueryField()
    rewrite_query = StrictBoolean(required=False, allow_null=True)
    max_num_results = StrictNumber(minimum=1, maximum=MOST_RESULTS, integer=True, required=False, allow_null=True)
    filters = FiltersField(required=False, allow_null=True)
    ranking_options = StoreSearchRanking(required=False, allow_null=True)


class VectorStoreSearchView(ApiView):
    """Search one vector store."""

    scopes = {"POST": STORES_READ}
    serializer_class = SearchRequest
    is_recorded = False

    @extend_schema(operation_id="searchVectorStore", request=SearchRequest, responses=SearchResultsPage)
    def post(self, request: Request, vector_store_id: str) -> LaterResponse:
        """Search a vector store.

        By words and by the meaning of whole passages; where no model makes vectors of texts, by words alone.
        """
        body, principal = self.body(), principal_of(request)
        store = stores.get_store(principal=principal, store_id=vector_store_id)
        stores.check_unexpired(store)
        stores.touch([store.id])
        return LaterResponse(partial(_search, store.id, body, principal))


async def _search(store_id: str, body: dict[str, Any], principal: Principal) -> HttpResponse:
    queries = [rewritten(query) for query in body["query"]] if body.get("rewrite_query") else body["query"]
    found = await search(
        project_id=principal.project_id,
        store_ids=[store_id],
        queries=queries,
        limit=body.get("max_num_results") or DEFAULT_RESULTS,
        filters=body.get("filters"),
        ranking=Ranking(**(body.get("ranking_options") or {})),
        attribution=attribution_of(principal, PURPOSE),
    )
    return json_response(render_search(queries, found.hits))
