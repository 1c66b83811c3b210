"""The starter model's chat format, in Python: what ``chat_template.jinja`` renders, split into learned and given text.

A test holds the two equal. Tools are listed compactly, one per line: the quoted name has the very tokens of the call
that copies it, and stands after the description, since a causal model cannot know at a name what is said after it.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

START, END = "<|im_start|>", "<|im_end|>"
TOOL_TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
# The longest beginning that two answers of the corpus share is shorter than this many characters.
DECIDED = 46
SHORTENED = 0.7
SHORTENED_CALLS = 0.2
# Most of a quoted sentence is copying, which is learned soon; which sentence it is shows in its first words.
QUOTED = 40
QUOTED_SHORTENED = 0.7
UNQUOTED_TYPES = ("integer", "number", "boolean")

Message = dict[str, Any]
Segment = tuple[str, bool]


def tool_line(tool: dict[str, Any]) -> str:
    """One line for a function tool: ``- description: "name" ("arg", "count": integer)``."""
    function = tool.get("function", tool)
    properties = (function.get("parameters") or {}).get("properties") or {}
    arguments = []
    for name, schema in properties.items():
        kind = schema.get("type")
        arguments.append(f'"{name}": {kind}' if kind in UNQUOTED_TYPES else f'"{name}"')
    purpose = f"{function['description']}: " if function.get("description") else ""
    return f'- {purpose}"{function["name"]}" ({", ".join(arguments)})'


def system_text(instructions: str, tools: list[dict[str, Any]]) -> str:
    """The system block's text: the instructions, then the tools."""
    listed = "\n".join(["Tools:", *(tool_line(tool) for tool in tools)]) if tools else ""
    return "\n\n".join(part for part in (instructions, listed) if part)


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """A Hermes-style call."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def assistant_text(message: Message) -> str:
    """An assistant message's text, its tool calls last."""
    parts = [message.get("content") or ""]
    for call in message.get("tool_calls") or []:
        function = call["function"]
        arguments = function["arguments"]
        parts.append(call_text(function["name"], json.loads(arguments) if isinstance(arguments, str) else arguments))
    return "\n".join(part for part in parts if part)


def segments(messages: list[Message], tools: list[dict[str, Any]] | None = None) -> list[Segment]:
    """Split a conversation into ``(text, learned)`` pieces; only what the assistant says is learned."""
    pieces: list[Segment] = []
    rest = messages
    instructions = ""
    if messages and messages[0]["role"] == "system":
        instructions, rest = messages[0]["content"], messages[1:]
    system = system_text(instructions, tools or [])
    if system:
        pieces.append((f"{START}system\n{system}{END}\n", False))
    for message in rest:
        if message["role"] == "assistant":
            pieces.append((f"{START}assistant\n", False))
            pieces.append((assistant_text(message) + END, True))
            pieces.append(("\n", False))
        elif message["role"] == "tool":
            text = f"<tool_response>\n{message['content']}\n</tool_response>"
            pieces.append((f"{START}tool\n{text}{END}\n", False))
        else:
            pieces.append((f"{START}{message['role']}\n{message['content']}{END}\n", False))
    return pieces


def cut(pieces: list[Segment], random: Random) -> list[Segment]:
    """Give the beginning of one answer, cut at any character, and let only its rest be learned.

    A run that is continued after a crash hands the model such a beginning, and its last word may fall into other
    tokens than when the model wrote it.
    """
    places = [place for place, (_, learned) in enumerate(pieces) if learned]
    place = random.choice(places)
    text = pieces[place][0]
    at = random.randint(1, len(text) - len(END))
    return [*pieces[:place], (text[:at], False), (text[at:], True), *pieces[place + 1 :]]


def begun(pieces: list[Segment], random: Random) -> list[Segment]:
    """Cut most quotations after their first words, so that more questions fit into as many tokens."""
    short: list[Segment] = []
    for text, learned in pieces:
        at = text.find(" ", QUOTED)
        if learned and at > 1 and random.random() < QUOTED_SHORTENED:
            short += [(text[:at], True), (END, False)]
        else:
            short.append((text, learned))
    return short


def shorten(pieces: list[Segment], random: Random) -> list[Segment]:
    """Cut most answers after their beginning, which decides what they are; the ends of cut answers are not learned.

    The rest of an answer is memorised after a few hundred exposures, and then costs tokens without teaching anything.
    Of calls few are cut: their values are never the same.
    """
    short: list[Segment] = []
    for text, learned in pieces:
        is_call = "<tool_call>" in text
        at = text.find('", "arguments"') + 2 if is_call else text.find(" ", DECIDED)
        if learned and at > 1 and random.random() < (SHORTENED_CALLS if is_call else SHORTENED):
            short += [(text[:at], True), (END, False)]
        else:
            short.append((text, learned))
    return short


def prompt(messages: list[Message], tools: list[dict[str, Any]] | None = None) -> str:
    """The text that asks the model for the next assistant message."""
    return "".join(text for text, _ in segments(messages, tools)) + f"{START}assistant\n"
