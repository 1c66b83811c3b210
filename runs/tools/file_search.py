"""``file_search``: the vector stores of the assistant and of the thread are searched, and the answer may cite them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

import orjson

from assistants.knowledge import embedding
from assistants.knowledge.chunking import count_tokens
from assistants.knowledge.models import VectorStore
from assistants.knowledge.retrieval.search import Hit, Ranking, search
from assistants.knowledge.services import stores
from inference.chat import InferenceError
from runs.citations import ANONYMOUS, mark_of
from runs.tools import passages
from runs.tools.base import Call, ServerTool, Work
from sovereign.core.database import in_database

DESCRIPTION = "Search the files that were uploaded for this conversation."
QUERY_LENGTH = 4_096  # characters
OLD_MODELS = "gpt-3.5"  # what begins so gets less, as it always did
RESULTS, RESULTS_OLD = 20, 5
TOKENS, TOKENS_OLD = 16_000, 4_000  # of what the searches of one step give a model
NO_STORES = "There is no vector store to search."
NO_QUERY = "The call had no query."
SEARCHES = 16  # that are carried out in one turn
TOO_MANY = "This search was not made: there were too many in one turn."
SPENT = "There is no room left for what this search finds: the earlier ones of this turn have taken it."
NO_RESULT = (TOO_MANY, SPENT)


class FileSearch(ServerTool):
    type = "file_search"
    kind = "file_search"

    def definition(self, name: str) -> dict[str, Any]:
        parameters = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
        return {"type": "function", "function": {"name": name, "description": DESCRIPTION, "parameters": parameters}}

    def arguments(self, text: str) -> dict[str, Any]:
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError:
            said = text
        if isinstance(said, dict):
            said = said.get("query") or next((value for value in said.values() if isinstance(value, str)), "")
        return {"query": str(said).strip()[:QUERY_LENGTH]}

    def begun(self, name: str, call_id: str) -> Call:
        return {
            "id": call_id,
            "type": self.type,
            "file_search": {"ranking_options": self._ranking_shown(), "results": []},
        }

    async def carry_out(self, call: Call, arguments: dict[str, Any], work: Work) -> Call:
        query, searched = arguments["query"], self.stores()
        earlier = [other for other in work.done if other["type"] == self.type]
        await in_database(use, self.surroundings.project_id, searched)
        if not query or not searched:
            return _with_results(call, [], NO_STORES if query else NO_QUERY)
        tokens = self._tokens_left(earlier)
        if len(earlier) >= SEARCHES or tokens <= 0:
            return _with_results(call, [], TOO_MANY if len(earlier) >= SEARCHES else SPENT)
        found = await search(
            project_id=self.surroundings.project_id,
            store_ids=searched,
            queries=[query],
            limit=self._limit(),
            ranking=self._ranking(),
            attribution=replace(self.surroundings.attribution, purpose=embedding.PURPOSE),
        )
        results = _within(map(_result, found.hits), tokens)
        return _with_results(call, results, SPENT if found.hits and not results else found.note)

    def failed(self, call: Call, message: str) -> Call:
        return _with_results(call, [], message)

    def told(self, call: Call, *, position: int, earlier: Sequence[Call], room: int) -> str:
        work = call["file_search"]
        if not work["results"]:
            note = work.get("note", "")
            return note if note in NO_RESULT else f"{passages.NOTHING} {note}".rstrip()
        numbered = enumerate(work["results"], start=len(results_of(earlier)))
        marks = [mark_of(position, index, result["file_name"]) for index, result in numbered]
        texts = [_text_of(result) for result in work["results"]]
        return passages.rendered(list(zip(marks, texts, strict=True)), room)

    def sources(self, call: Call, *, position: int, earlier: Sequence[Call]) -> dict[str, str]:
        numbered = enumerate(call["file_search"]["results"], start=len(results_of(earlier)))
        return {
            mark_of(position, index, name): result["file_id"]
            for index, result in numbered
            for name in (result["file_name"], ANONYMOUS)
        }

    def stores(self) -> list[str]:
        """The ids of the stores that are searched: the assistant's, then the thread's."""
        return list(dict.fromkeys(store for resources in self.surroundings.resources for store in _named(resources)))

    def stores_of_thread(self) -> list[str]:
        """The ids of those that a run waits for."""
        return _named(self.surroundings.resources[1])

    @property
    def _options(self) -> dict[str, Any]:
        return self.settings.get(self.type) or {}

    def _ranking_shown(self) -> dict[str, Any]:
        """As steps show it: what was not set is not there."""
        options = self._options.get("ranking_options") or {}
        return {name: value for name, value in options.items() if value is not None}

    def _ranking(self) -> Ranking:
        options = self._ranking_shown()
        threshold, weights = options.get("score_threshold", 0.0), options.get("hybrid_search") or {}
        by_vectors, by_words = weights.get("embedding_weight"), weights.get("text_weight")
        if _is_weight(by_vectors) and _is_weight(by_words) and by_vectors + by_words > 0:
            return Ranking(score_threshold=threshold, embedding_weight=by_vectors, text_weight=by_words)
        return Ranking(score_threshold=threshold)

    def _limit(self) -> int:
        return self._options.get("max_num_results") or (RESULTS_OLD if self._is_old() else RESULTS)

    def _is_old(self) -> bool:
        return self.surroundings.model.startswith(OLD_MODELS)

    def _tokens_left(self, earlier: Sequence[Call]) -> int:
        spent = sum(count_tokens(_text_of(result)) for result in results_of(earlier))
        return (TOKENS_OLD if self._is_old() else TOKENS) - spent


def check_usable(project_id: str, store_ids: Sequence[str]) -> None:
    """:raises InferenceError: one of the stores has expired. One that was deleted is passed over."""
    for store in VectorStore.objects.filter(project_id=project_id, pk__in=store_ids):
        if stores.is_expired(store):
            raise InferenceError(f"Vector store '{store.id}' has expired.")


def use(project_id: str, store_ids: Sequence[str]) -> None:
    """Note that stores are searched, which moves their expiry. Raises like :func:`check_usable`."""
    check_usable(project_id, store_ids)
    stores.touch(store_ids)


def _with_results(call: Call, results: list[dict[str, Any]], note: str) -> Call:
    work = {**call["file_search"], "results": results}
    return {**call, "file_search": {**work, "note": note} if note else work}


def _is_weight(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and value >= 0


def _named(resources: dict[str, Any]) -> list[str]:
    return (resources.get(FileSearch.type) or {}).get("vector_store_ids") or []


def _result(hit: Hit) -> dict[str, Any]:
    return {
        "file_id": hit.file_id,
        "file_name": hit.filename,
        "score": hit.score,
        "attributes": dict(hit.attributes),
        "content": [{"type": "text", "text": hit.text}],
    }


def _within(results: Iterable[dict[str, Any]], tokens: int) -> list[dict[str, Any]]:
    """Whole results as long as they fit, and the beginning of the one that does not."""
    kept = []
    for result in results:
        text = _text_of(result)
        part = passages.fitted(text, tokens, count_tokens)
        if part:
            kept.append({**result, "content": [{"type": "text", "text": part}]})
        if part != text:
            break
        tokens -= count_tokens(part)
    return kept


def results_of(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Of all searches among these calls: the results of a step are numbered through, for a mark names one of them."""
    return [result for call in calls if call["type"] == FileSearch.type for result in call["file_search"]["results"]]


def _text_of(result: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in result["content"])
