"""What two contents of an assistant differ in, field by field, as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson

from assistants.catalog.entries import BUILT_IN, MCP
from assistants.prompting import PlacedPrompt
from assistants.snapshots import TOLD_OF_PROMPT, Content
from sovereign.core.comparing import Effort, opcodes, unified

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
CONTRACT_TITLES = {"file_search": "File search", "code_interpreter": "Code interpreter"}
RESOURCES = {
    "file_search": ("vector_store_ids", "Vector stores"),
    "code_interpreter": ("file_ids", "Files of the code interpreter"),
}
TITLES = {"top_p": "Top P", "retrieval": "How it searches", "functions": "Functions of the library"}
#: of a prompt, what its title tells, what is only the id of its row, and what follows as text
UNWRITTEN = frozenset({"link_id", "prompt_id", "version_id", "template", *TOLD_OF_PROMPT})
WORDS = {"number": "version"}  # of a prompt's settings, where the field's name says less
Described = tuple[str, str]  # a tool's name among its like, and its title
Texts = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    :ivar field: ``"model"``, or a part of a field: ``"tools.look_up"``, ``"prompts.prompt_…"``, ``"knowledge.vs_…"``.
    :ivar kind: ``added``, ``removed`` or ``changed``.
    :ivar lines: a unified diff, where there are texts to be compared.
    """

    field: str
    title: str
    kind: str
    before: Any
    after: Any
    lines: list[str]


def difference(before: Content, after: Content, names: Mapping[str, str] | None = None) -> list[Change]:
    """In the order of the content's fields; none where the two have the same digest.

    :param names: of what the contents know by its id alone (MCP servers).
    """
    return list(_Comparison(before, after, names or {}).changes())


class _Comparison:
    """:ivar effort: that may still go into comparing lines: what takes more is shown as a whole."""

    def __init__(self, before: Content, after: Content, names: Mapping[str, str]) -> None:
        self.before, self.after, self.names = before, after, names
        self.effort = Effort()

    def changes(self) -> Iterator[Change]:
        special: dict[str, Callable[[], Iterator[Change]]] = {
            "name": self._name,
            "tools": lambda: self._listed("tools", _tool),
            "library_tools": lambda: self._listed("library_tools", _tool),
            "server_tools": lambda: self._listed("server_tools", self._entry),
            "functions": self._functions,
            "tool_resources": self._resources,
            "prompts": self._prompts,
            "knowledge": self._knowledge,
        }
        for item in fields(Content):
            yield from special[item.name]() if item.name in special else self._plain(item.name)

    def _plain(self, name: str) -> Iterator[Change]:
        title = TITLES.get(name, name.replace("_", " ").capitalize())
        yield from self._compared(name, title, getattr(self.before, name), getattr(self.after, name))

    def _name(self) -> Iterator[Change]:
        """Where a prompt may say it: else no answer depends on it."""
        if self.before.says_name or self.after.says_name:
            yield from self._compared("name", "Name", self.before.name or "", self.after.name or "")

    def _compared(self, name: str, title: str, before: Any, after: Any, texts: Texts | None = None) -> Iterator[Change]:
        """:param texts: what the lines are those of, where it is not the values."""
        if orjson.dumps(before) == orjson.dumps(after):  # as digests are made: the order of keys counts
            return
        old, new = texts or (_text(before), _text(after))
        kind = ADDED if _is_nothing(before) else REMOVED if _is_nothing(after) else CHANGED
        yield Change(field=name, title=title, kind=kind, before=before, after=after, lines=self._lines(old, new))

    # ------------------------------------------------------------------------------------- tools

    def _listed(self, name: str, describe: Callable[[dict[str, Any]], Described]) -> Iterator[Change]:
        """Tools, matched by their names wherever they stand; then their order, as a model is shown it."""
        old, new = (_by_name(getattr(content, name), describe) for content in (self.before, self.after))
        for key, title in {**_titles(old), **_titles(new)}.items():
            before, after = (named[key][1] if key in named else None for named in (old, new))
            yield from self._compared(f"{name}.{key}", title, before, after)
        yield from self._order(name, old, new)

    def _order(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
        before, after = [key for key in old if key in new], [key for key in new if key in old]
        yield from self._compared(name, f"Order of the {name.replace('_', ' ')}", before, after)

    def _entry(self, entry: dict[str, Any]) -> Described:
        kind: str = entry["type"]
        if kind != MCP:
            return kind, BUILT_IN[kind].title if kind in BUILT_IN else kind
        server_id = entry["server_id"]
        return server_id, f"MCP server {self.names.get(server_id, server_id)}"

    def _functions(self) -> Iterator[Change]:
        """The ids alone, where the functions themselves do not tell."""
        if orjson.dumps(self.before.library_tools) == orjson.dumps(self.after.library_tools):
            yield from self._plain("functions")

    # ------------------------------------------------------------------------------------- prompts

    def _prompts(self) -> Iterator[Change]:
        old, new = _by_prompt(self.before.prompts), _by_prompt(self.after.prompts)
        for key, prompt in {**old, **new}.items():
            before, after = old.get(key), new.get(key)
            if before is not None and after is not None and _shaping(before) == _shaping(after):
                continue
            was, is_now = (None if there is None else asdict(there) for there in (before, after))
            texts = _prompt_text(before), _prompt_text(after)
            yield from self._compared(f"prompts.{key}", f"Prompt {prompt.prompt_name}", was, is_now, texts)
        yield from self._order("prompts", old, new)

    # ------------------------------------------------------------------------------------- knowledge

    def _resources(self) -> Iterator[Change]:
        names = {held["id"]: held["name"] for content in (self.before, self.after) for held in content.knowledge}
        for kind in dict.fromkeys([*self.before.tool_resources, *self.after.tool_resources]):
            key, title = RESOURCES.get(kind, (kind, kind))
            was, is_now = (content.tool_resources.get(kind, {}).get(key, []) for content in (self.before, self.after))
            old, new = ("\n".join(f"{names.get(held, 'gone')} ({held})" for held in ids) for ids in (was, is_now))
            yield from self._compared(f"tool_resources.{kind}", title, was, is_now, (old, new))

    def _knowledge(self) -> Iterator[Change]:
        """Which files came and went, in the stores that it had and still has."""
        old = {held["id"]: held for held in self.before.knowledge}
        for held in self.after.knowledge:
            was = old.get(held["id"])
            if was is not None and was["digest"] != held["digest"]:
                texts = _files_text(was), _files_text(held)
                yield from self._compared(f"knowledge.{held['id']}", f"Files of {held['name']}", was, held, texts)

    # ------------------------------------------------------------------------------------- lines

    def _lines(self, before: str, after: str) -> list[str]:
        """A unified diff without the two lines about files."""
        old, new = before.splitlines(), after.splitlines()
        return list(unified(old, new, opcodes(old, new, self.effort)))


def _text(value: Any) -> str:
    """The value in lines; nothing for numbers and single words, which tell themselves."""
    if isinstance(value, str):
        return value
    if _is_nothing(value) or not isinstance(value, list | dict):
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _tool(tool: dict[str, Any]) -> Described:
    if tool["type"] != "function":
        return tool["type"], CONTRACT_TITLES.get(tool["type"], tool["type"])
    return tool["function"]["name"], f"Function {tool['function']['name']}"


def _by_name(
    tools: Sequence[dict[str, Any]], describe: Callable[[dict[str, Any]], Described]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Title and tool by name, in their order; of several with one name the next ones get a number."""
    named: dict[str, tuple[str, dict[str, Any]]] = {}
    for tool in tools:
        name, title = describe(tool)
        named[_unique(name, named)] = title, tool
    return named


def _by_prompt(prompts: Sequence[PlacedPrompt]) -> dict[str, PlacedPrompt]:
    """The prompts by id, in their order; a prompt may be linked more than once."""
    found: dict[str, PlacedPrompt] = {}
    for prompt in prompts:
        found[_unique(prompt.prompt_id, found)] = prompt
    return found


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    number = 1
    while (key := name if number == 1 else f"{name}#{number}") in taken:
        number += 1
    return key


def _titles(named: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, str]:
    return {key: title for key, (title, _) in named.items()}


def _shaping(prompt: PlacedPrompt) -> bytes:
    return orjson.dumps({name: value for name, value in asdict(prompt).items() if name not in TOLD_OF_PROMPT})


def _prompt_text(prompt: PlacedPrompt | None) -> str:
    """Its settings, one a line, and what it says."""
    if prompt is None:
        return ""
    written = {
        name: value for name, value in asdict(prompt).items() if name not in UNWRITTEN and not _is_nothing(value)
    }
    settings = [f"{WORDS.get(name, name)}: {_setting(value)}" for name, value in written.items()]
    return "\n".join([*settings, "", prompt.template])


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _files_text(held: dict[str, Any]) -> str:
    unnamed = held["number"] - len(held["files"])
    more = [f"and {unnamed} more"] if unnamed else []
    return "\n".join([*(f"{file['name']} ({file['id']})" for file in held["files"]), *more])
