"""Tools, and the resources they work on."""

from __future__ import annotations

from typing import Any

from tests.conformance.expectations import (
    OMIT,
    Check,
    Refusal,
    above,
    below,
    missing,
    not_found,
    not_one_of,
    refuses,
    takes,
    too_long,
    too_many,
    unknown,
    wrong_type,
)
from tests.conformance.matching import Id
from tests.conformance.objects import PARAMETERLESS, TOOL, TOOL_SHOWN
from tests.conformance.world import FILE, STORE

FUNCTION_PATTERN = (
    "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
)
TOOL_TYPES = ["code_interpreter", "file_search", "function"]
NO_FILE, NO_STORE = "file-0000000000000000000000", "vs_00000000000000000000000000000000"
FILE_REFUSAL = Refusal(None, f"No such File object: {NO_FILE}", "id", 404, name="E7", fixed=True)
FULL_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        "strict": True,
    },
}


def function(**fields: Any) -> dict[str, Any]:
    given = {"name": "look_up", **fields}
    return {"type": "function", "function": {name: value for name, value in given.items() if value is not OMIT}}


def tools(limit: int) -> list[Check]:
    """The array, its types and functions."""
    several = [function(name=f"f{number}") for number in range(limit)]
    shown = [{**TOOL_SHOWN, "function": {**TOOL_SHOWN["function"], "name": f"f{n}"}} for n in range(limit)]
    place = "tools[0].function"
    return [
        takes("tools", f"{limit} tools", {"tools": several}, {"tools": shown}),
        refuses("tools", f"{limit + 1} tools", {"tools": [*several, TOOL]}, too_many("tools", limit, limit + 1)),
        refuses("tools", "no array", {"tools": TOOL}, wrong_type("tools", "an array", "an object")),
        takes("tools[].type", "function", {"tools": [TOOL]}, {"tools": [TOOL_SHOWN]}),
        refuses(
            "tools[].type",
            "any other",
            {"tools": [{"type": "retrieval"}]},
            not_one_of("tools[0].type", "retrieval", TOOL_TYPES),
        ),
        refuses("tools[].type", "none", {"tools": [{}]}, missing("tools[0].type")),
        takes("tools[].function", "all of its fields", {"tools": [FULL_TOOL]}),
        refuses("tools[].function", "none", {"tools": [{"type": "function"}]}, missing(place)),
        refuses("tools[].function", "an unknown field", {"tools": [function(x=1)]}, unknown(f"{place}.x")),
        *_functions(place),
    ]


def _functions(place: str) -> list[Check]:
    def sent(**fields: Any) -> dict[str, Any]:
        return {"tools": [function(**fields)]}

    def shown(**fields: Any) -> dict[str, Any]:
        return {"tools": [{"type": "function", "function": {**TOOL_SHOWN["function"], **fields}}]}

    name = "tools[].function.name"
    parameters = FULL_TOOL["function"]["parameters"]  # type: ignore[index]
    return [
        takes(name, "64 of a–z A–Z 0–9 _ -", sent(name="a-Z_9" + "x" * 59), shown(name="a-Z_9" + "x" * 59)),
        refuses(name, "65 characters", sent(name="x" * 65), too_long(f"{place}.name", 64, 65)),
        refuses(
            name, "a space in it", sent(name="look up"), Refusal("invalid_value", FUNCTION_PATTERN, f"{place}.name")
        ),
        refuses(name, "none", sent(name=OMIT), missing(f"{place}.name")),
        takes("tools[].function.description", "a text", sent(description="What."), shown(description="What.")),
        takes("tools[].function.description", "left out → null", sent(), shown(description=None)),
        takes(
            "tools[].function.parameters", "a JSON schema", sent(parameters=parameters), shown(parameters=parameters)
        ),
        takes(
            "tools[].function.parameters",
            'left out → {"type": "object", "properties": {}}',
            sent(),
            shown(parameters=PARAMETERLESS),
        ),
        refuses(
            "tools[].function.parameters",
            "no object",
            sent(parameters="x"),
            wrong_type(f"{place}.parameters", "an object", "a string"),
        ),
        takes("tools[].function.strict", "true", sent(strict=True), shown(strict=True)),
        takes("tools[].function.strict", "left out → false", sent(), shown(strict=False)),
        takes("tools[].function.strict", "null → false", sent(strict=None), shown(strict=False)),
        refuses(
            "tools[].function.strict",
            "no boolean",
            sent(strict="yes"),
            wrong_type(f"{place}.strict", "a boolean", "a string"),
        ),
    ]


def _file_search(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "file_search", "file_search": fields}]}


def _file_search_shown(*, threshold: float = 0.0, **fields: Any) -> dict[str, Any]:
    ranking = {"ranker": "default_2024_08_21", "score_threshold": threshold, "hybrid_search": None}
    return {"tools": [{"type": "file_search", "file_search": {**fields, "ranking_options": ranking}}]}


def builtin_tools() -> list[Check]:
    """Assistants and runs may have the built-in tools: they are kept in their normal form."""
    return [
        takes("tools[].type", "code_interpreter", {"tools": [{"type": "code_interpreter"}]}),
        *file_searches(),
    ]


def file_searches() -> list[Check]:
    """``file_search`` is kept in its normal form."""
    search, place = "tools[].file_search", "tools[0].file_search"
    return [
        takes("tools[].type", "file_search", {"tools": [{"type": "file_search"}]}, _file_search_shown()),
        takes(search, "without a type", {"tools": [{"file_search": {}}]}, _file_search_shown()),
        takes(
            f"{search}.max_num_results",
            "50, echoed if given",
            _file_search(max_num_results=50),
            _file_search_shown(max_num_results=50),
        ),
        refuses(
            f"{search}.max_num_results",
            "51",
            _file_search(max_num_results=51),
            above(f"{place}.max_num_results", 50, 51),
        ),
        refuses(
            f"{search}.max_num_results", "0", _file_search(max_num_results=0), below(f"{place}.max_num_results", 1, 0)
        ),
        takes(f"{search}.ranking_options", "left out → its defaults", _file_search(), _file_search_shown()),
        takes(
            f"{search}.ranking_options.ranker",
            "auto → the dated ranker",
            _file_search(ranking_options={"ranker": "auto", "score_threshold": 0}),
            _file_search_shown(),
        ),
        refuses(
            f"{search}.ranking_options.ranker",
            "any other",
            _file_search(ranking_options={"ranker": "best", "score_threshold": 0}),
            not_one_of(f"{place}.ranking_options.ranker", "best", ["auto", "default_2024_08_21"]),
        ),
        takes(
            f"{search}.ranking_options.score_threshold",
            "1",
            _file_search(ranking_options={"score_threshold": 1}),
            _file_search_shown(threshold=1),
        ),
        refuses(
            f"{search}.ranking_options.score_threshold",
            "1.1",
            _file_search(ranking_options={"score_threshold": 1.1}),
            above(f"{place}.ranking_options.score_threshold", 1, 1.1, "decimal"),
        ),
    ]


# -------------------------------------------------------------------------------------------------- resources


def resources(*, helper: bool, with_tools: bool = False) -> list[Check]:
    """``tool_resources``; ``helper``: vector stores may be made by it; ``with_tools``: only a tool shows empty ones."""
    name = "tool_resources"
    files, search = f"{name}.code_interpreter", f"{name}.file_search"

    def sent(tool: str, **fields: Any) -> dict[str, Any]:
        return {name: {tool: fields}}

    def taken(label: str, tool: str, field: str) -> Check:
        nothing = sent(tool, **{field: []})
        tools = {"tools": [{"type": tool}]} if with_tools else {}
        return takes(f"{name}.{tool}.{field}", label, {**tools, **nothing}, nothing)

    no_store = not_found("vector store", NO_STORE)
    with_file, with_store = sent("code_interpreter", file_ids=[FILE]), sent("file_search", vector_store_ids=[STORE])
    return [
        takes(name, "{}", {name: {}}),
        takes(name, "null → {}", {name: None}, {name: {}}),
        refuses(name, "no object", {name: []}, wrong_type(name, "an object", "an array")),
        refuses(name, "an unknown tool", {name: {"web": {}}}, unknown(f"{name}.web")),
        takes(files, "a file", with_file),
        takes(f"{files}.file_ids", "a file", with_file),
        refuses(f"{files}.file_ids", "an unknown one", sent("code_interpreter", file_ids=[NO_FILE]), FILE_REFUSAL),
        taken("[]", "code_interpreter", "file_ids"),
        taken("[]", "file_search", "vector_store_ids"),
        refuses(
            f"{files}.file_ids",
            "21 files",
            sent("code_interpreter", file_ids=[NO_FILE] * 21),
            too_many(f"{files}.file_ids", 20, 21),
        ),
        takes(search, "a vector store", with_store),
        takes(f"{search}.vector_store_ids", "a vector store", with_store),
        refuses(
            f"{search}.vector_store_ids", "an unknown one", sent("file_search", vector_store_ids=[NO_STORE]), no_store
        ),
        refuses(
            f"{search}.vector_store_ids",
            "2 vector stores",
            sent("file_search", vector_store_ids=[NO_STORE] * 2),
            too_many(f"{search}.vector_store_ids", 1, 2),
        ),
        *(_store_helper(f"{search}.vector_stores") if helper else ()),
    ]


def _store_helper(place: str) -> list[Check]:
    """A store is made, and its id stands where it was asked for."""
    chunks = {"max_chunk_size_tokens": 4096, "chunk_overlap_tokens": 2048}
    static = {"type": "static", "static": chunks}
    strategy, at = f"{place}[].chunking_strategy", f"{place}[0].chunking_strategy"
    size, overlap = "static.max_chunk_size_tokens", "static.chunk_overlap_tokens"
    made = {"tool_resources": {"file_search": {"vector_store_ids": [Id("vs_")]}}}

    def sent(**store: Any) -> dict[str, Any]:
        return {"tool_resources": {"file_search": {"vector_stores": [store]}}}

    def check(subject: str, label: str, **store: Any) -> Check:
        return takes(subject, label, sent(**store), made)

    def wrong(below_it: str, label: str, refusal: Refusal, **changed: Any) -> Check:
        return refuses(
            f"{strategy}.{below_it}",
            label,
            sent(chunking_strategy={**static, "static": {**chunks, **changed}}),
            refusal,
        )

    other = sent(chunking_strategy={"type": "best"})
    return [
        check(place, "any → the id of what was made"),
        check(f"{place}[].file_ids", "a file", file_ids=[FILE]),
        refuses(f"{place}[].file_ids", "an unknown one", sent(file_ids=[NO_FILE]), FILE_REFUSAL),
        check(f"{place}[].metadata", "any", metadata={"a": "b"}),
        check(strategy, "any", chunking_strategy={"type": "auto"}),
        check(f"{strategy}.type", "auto", chunking_strategy={"type": "auto"}),
        check(f"{strategy}.type", "static", chunking_strategy=static),
        check(f"{strategy}.static", "any", chunking_strategy=static),
        check(f"{strategy}.{size}", "4096", chunking_strategy=static),
        check(f"{strategy}.{overlap}", "half", chunking_strategy=static),
        refuses(f"{strategy}.type", "any other", other, not_one_of(f"{at}.type", "best", ["auto", "static"])),
        wrong(size, "4097", above(f"{at}.{size}", 4096, 4097), max_chunk_size_tokens=4097),
        wrong(size, "99", below(f"{at}.{size}", 100, 99), max_chunk_size_tokens=99),
        wrong(overlap, "more than half", above(f"{at}.{overlap}", 2048, 2049), chunk_overlap_tokens=2049),
    ]
