"""What two contents differ in: every difference of their digests is told, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistants.differences import Change, difference
from assistants.prompting import PlacedPrompt
from assistants.snapshots import Content

BASE = Content(model="tiny", instructions="One\nTwo\nThree")


def function(name: str, **properties: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    described = {"name": name, "description": None, "parameters": parameters, "strict": False}
    return {"type": "function", "function": described}


def prompt(prompt_id: str = "prompt_1", **more: Any) -> PlacedPrompt:
    settings: dict[str, Any] = {
        "link_id": f"link_of_{prompt_id}", "prompt_id": prompt_id, "prompt_name": "Tone", "version_id": "promptv_1",
        "number": 1, "label": "", "kind": "primary", "priority": 0, "weight": None, "conditions": {},
        "template": "Be kind.",
    }  # fmt: skip
    return PlacedPrompt(**{**settings, **more})


def held(held_id: str, name: str, *files: str) -> dict[str, Any]:
    named = [{"id": f"file-{file}", "name": f"{file}.txt"} for file in files]
    return {"id": held_id, "name": name, "files": named, "number": len(files), "digest": "-".join(files)}


def changes(**after: Any) -> list[Change]:
    return difference(BASE, replace(BASE, **after))


def only(found: list[Change]) -> Change:
    assert len(found) == 1, found
    return found[0]


def test_equal_contents_differ_in_nothing() -> None:
    assert difference(BASE, replace(BASE)) == []


def test_a_changed_text_is_shown_line_by_line() -> None:
    change = only(changes(instructions="One\n2\nThree"))
    assert (change.field, change.title, change.kind) == ("instructions", "Instructions", "changed")
    assert (change.before, change.after) == ("One\nTwo\nThree", "One\n2\nThree")
    assert change.lines == ["@@ -1,3 +1,3 @@", " One", "-Two", "+2", " Three"]


def test_a_number_is_told_without_lines() -> None:
    change = only(changes(temperature=0.5))
    assert (change.title, change.before, change.after, change.lines) == ("Temperature", 1.0, 0.5, [])


def test_what_was_not_there_is_added_and_what_is_gone_is_removed() -> None:
    added = only(changes(personality="Warm"))
    assert (added.field, added.kind, added.lines) == ("personality", "added", ["@@ -0,0 +1,1 @@", "+Warm"])
    removed = only(changes(instructions=None))
    assert (removed.kind, removed.before, removed.after) == ("removed", BASE.instructions, None)


def test_tools_are_matched_by_their_names() -> None:
    before = replace(BASE, tools=[function("look_up", city="string"), {"type": "code_interpreter"}])
    after = replace(BASE, tools=[function("book"), function("look_up", city="integer")])
    told = [(change.field, change.title, change.kind) for change in difference(before, after)]
    assert told == [
        ("tools.look_up", "Function look_up", "changed"),
        ("tools.code_interpreter", "Code interpreter", "removed"),
        ("tools.book", "Function book", "added"),
    ]
    lines = difference(before, after)[0].lines
    assert '-          "type": "string"' in lines
    assert '+          "type": "integer"' in lines


def test_the_order_of_tools_and_of_properties_is_a_change_too() -> None:
    one, two = function("one"), function("two")
    change = only(difference(replace(BASE, tools=[one, two]), replace(BASE, tools=[two, one])))
    assert (change.title, change.before, change.after) == ("Order of the tools", ["one", "two"], ["two", "one"])
    was = replace(BASE, tools=[function("f", reason="string", answer="string")])
    turned = difference(was, replace(BASE, tools=[function("f", answer="string", reason="string")]))
    assert only(turned).field == "tools.f"


def test_servers_are_named() -> None:
    entry = {"type": "mcp", "server_id": "mcp_1", "tools": None}
    after = replace(BASE, server_tools=[{"type": "calculator"}, entry])
    assert [change.title for change in difference(BASE, after, {"mcp_1": "weather"})] == [
        "Calculator",
        "MCP server weather",
    ]


def test_a_prompt_shows_its_settings_and_its_text() -> None:
    later = prompt(version_id="promptv_2", number=2, template="Be firm.", priority=5)
    change = only(difference(replace(BASE, prompts=[prompt()]), replace(BASE, prompts=[later])))
    assert (change.field, change.title, change.kind) == ("prompts.prompt_1", "Prompt Tone", "changed")
    for line in ("-version: 1", "+version: 2", "-priority: 0", "+priority: 5", "-Be kind.", "+Be firm."):
        assert line in change.lines


def test_one_prompt_may_be_linked_twice() -> None:
    twice = [prompt(), prompt(link_id="link_2", kind="fallback")]
    told = difference(replace(BASE, prompts=[prompt()]), replace(BASE, prompts=twice))
    assert only(told).field == "prompts.prompt_1#2"


def test_names_alone_are_no_difference() -> None:
    before = replace(BASE, prompts=[prompt()], knowledge=[held("vs_1", "Old name", "a")])
    renamed = {**held("vs_1", "New name", "a"), "files": [{"id": "file-a", "name": "renamed.txt"}]}
    after = replace(BASE, prompts=[prompt(prompt_name="Voice", label="production")], knowledge=[renamed])
    assert before.digest() == after.digest()
    assert difference(before, after) == []


def test_files_of_a_store_come_and_go() -> None:
    before = replace(BASE, knowledge=[held("vs_1", "Handbook", "a", "b")])
    change = only(difference(before, replace(BASE, knowledge=[held("vs_1", "Handbook", "b", "c")])))
    assert (change.field, change.title) == ("knowledge.vs_1", "Files of Handbook")
    assert change.lines[1:] == ["-a.txt (file-a)", " b.txt (file-b)", "+c.txt (file-c)"]


def test_another_store_is_shown_by_its_name() -> None:
    def searching(store: str, name: str) -> Content:
        resources = {"file_search": {"vector_store_ids": [store]}}
        return replace(BASE, tool_resources=resources, knowledge=[held(store, name, "a")])

    change = only(difference(searching("vs_1", "Old"), searching("vs_2", "New")))
    assert (change.field, change.before, change.after) == ("tool_resources.file_search", ["vs_1"], ["vs_2"])
    assert change.lines[1:] == ["-Old (vs_1)", "+New (vs_2)"]


def test_more_than_can_be_compared_is_shown_as_a_whole() -> None:
    old = "\n".join(f"line {number}" for number in range(60_000))
    new = "\n".join(f"line {number}" + "!" * (number % 2) for number in range(60_000))
    change = only(difference(replace(BASE, instructions=old), replace(BASE, instructions=new)))
    assert "-line 1" in change.lines
    assert {"+line 1!", "-line 2"} <= set(change.lines)
    assert "-line 0" not in change.lines  # what is the same at both ends is left out


SCHEMAS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["string", "integer"]), max_size=2)
TOOLS = st.lists(
    st.one_of(
        st.builds(lambda name, schema: function(name, **schema), st.sampled_from(["f", "g"]), SCHEMAS),
        st.just({"type": "code_interpreter"}),
    ),
    max_size=3,
)
PROMPTS = st.lists(
    st.builds(
        prompt,
        st.sampled_from(["prompt_1", "prompt_2"]),
        link_id=st.sampled_from(["link_1", "link_2"]),
        priority=st.integers(0, 1),
        prompt_name=st.sampled_from(["Tone", "Voice"]),
        template=st.sampled_from(["Be kind.", "Be\nfirm.", "You are {{ assistant_name }}."]),
    ),
    max_size=3,
)
CONTENTS = st.builds(
    Content,
    model=st.sampled_from(["tiny", "large"]),
    name=st.sampled_from([None, "", "Guide", "Desk"]),
    instructions=st.sampled_from([None, "", "One", "One\nTwo", "One\nTwo\n"]),
    tools=TOOLS,
    library_tools=TOOLS,
    functions=st.lists(st.sampled_from(["func_1", "func_2"]), max_size=2),
    server_tools=st.lists(st.sampled_from([{"type": "calculator"}, {"type": "current_time"}]), max_size=2),
    capabilities=st.lists(st.sampled_from(["tools", "vision"]), max_size=2),
    response_format=st.sampled_from(["auto", {"type": "json_object"}]),
    context_memory_size=st.sampled_from([None, 1]),
    prompts=PROMPTS,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONTENTS, CONTENTS)
def test_a_difference_is_told_exactly_where_digests_differ(before: Content, after: Content) -> None:
    assert bool(difference(before, after)) == (before.digest() != after.digest())


@pytest.mark.parametrize("content", [BASE, replace(BASE, prompts=[prompt()], knowledge=[held("vs_1", "Handbook")])])
def test_a_content_is_the_same_after_it_was_kept(content: Content) -> None:
    assert Content.of_json(content.as_json()) == content
