# ruff: noqa: E501, SIM905
"""Tool-calling conversations: everyday tools, tools with invented names, questions that no listed tool answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from .grammar import expand
from .heldout import held_out_tool_names
from .knowledge import any_turn
from .phrasing import spoken
from .tool_compositions import meaningless, related
from .tool_domains import DOMAINS
from .tool_families import FAMILIES
from .values import ADJECTIVES, THINGS, TOPICS, digits, invented, value

VERBS = (
    "add remove start stop open close find count list show move copy send fetch clean paint repair lock unlock rename "
    "export import sort merge split print scan approve reject archive restore measure weigh wash fold pack ship "
    "inspect compare check update refresh reset cancel confirm create build test record publish hide pin label water "
    "feed charge plan rate review sign upload download compress encrypt verify schedule assign order rent borrow "
    "return replace enable disable tune calibrate"
).split()
NOUNS = sorted(set(THINGS + TOPICS))
COMPOSED_SHARE = 0.4
UNRELATED_SHARE = 0.25
Conversation = tuple[list[dict[str, Any]], list[dict[str, Any]]]
RESULTS = ("ok", "done", "accepted", "not found", "queued", "true", "finished")


@dataclass(frozen=True)
class Use:
    """A tool as the API lists it, and one request that it answers."""

    tool: dict[str, Any]
    question: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The tool's name."""
        return str(self.tool["function"]["name"])


@dataclass(frozen=True)
class Domain:
    """One row of ``DOMAINS``, taken apart."""

    names: str
    descriptions: str
    arguments: tuple[tuple[tuple[str, ...], str], ...]
    questions: tuple[str, ...]


@lru_cache(maxsize=1)
def domains() -> tuple[Domain, ...]:
    """All everyday tools."""
    rows = []
    for line in (*DOMAINS, *FAMILIES):
        names, descriptions, arguments, questions = (part.strip() for part in line.split(" / "))
        pairs = [argument.split("=") for argument in arguments.split(";") if argument]
        rows.append(
            Domain(names, descriptions, tuple((tuple(n.split(",")), k) for n, k in pairs), tuple(questions.split(";")))
        )
    return tuple(rows)


def tool_name(phrase: str, random: Random) -> str:
    """A name of the phrase that the evaluation does not use, in one of the usual spellings."""
    while True:
        name = expand(phrase, random)
        style = random.random()
        if style < 0.12:
            head, *tail = name.split("_")
            name = head + "".join(part.capitalize() for part in tail)
        elif style < 0.18:
            name = name.replace("_", "-")
        elif style < 0.24:
            name = f"{name}_{random.choice(('v2', 'tool', 'api', invented(random)))}"
        if name not in held_out_tool_names():
            return name


def schema(properties: dict[str, str], name: str, description: str) -> dict[str, Any]:
    """A function tool; ``properties`` maps argument names to JSON types."""
    listed = {key: {"type": kind} for key, kind in properties.items()}
    parameters = {"type": "object", "properties": listed, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def everyday(random: Random, place: int | None = None) -> Use:
    """A use of a random everyday tool, or of the one at ``place``."""
    domain = random.choice(domains()) if place is None else domains()[place % len(domains())]
    properties: dict[str, str] = {}
    values: list[str] = []
    arguments: dict[str, Any] = {}
    for names, kind in domain.arguments:
        name = random.choice([n for n in names if n not in properties])
        text = value(kind.rstrip("#?"), random)
        properties[name] = "integer" if kind.endswith("#") else "string"
        values.append(text)
        if not kind.endswith("?"):
            arguments[name] = int(text) if kind.endswith("#") else text
    question = expand(random.choice(domain.questions), random)
    for place, text in enumerate(values, 1):
        question = question.replace(f"${place}", text)
    description = expand(domain.descriptions, random) + random.choice(("", "", "."))
    # Some names are unrelated to what the tool does: its description has to be read, too.
    wording = domain.names if random.random() >= UNRELATED_SHARE else f"{random.choice(VERBS)}_{random.choice(NOUNS)}"
    tool = schema(properties, tool_name(wording, random), description)
    return Use(tool, question, {k: v for k, v in arguments.items() if str(v) in question})


def made_up(random: Random) -> Use:
    """A use of a tool that exists nowhere: only its own line tells what it does."""
    verb, noun = random.choice(VERBS), random.choice(NOUNS) if random.random() < 0.6 else invented(random)
    if random.random() < 0.25:
        verb = invented(random)
    name = tool_name(
        random.choice((f"{verb}_{noun}", f"{verb}_{noun}", f"{noun}_{verb}", f"{verb}_{invented(random)}")), random
    )
    adjective = random.choice(ADJECTIVES)
    description = expand(f"{verb.capitalize()} {{a|the|one}} {{{adjective}|}} {noun}", random)
    argument = random.choice((noun, "id", "name", "value", "item", "target", "key", invented(random)))
    kind = random.choice(("ID", "NAME", "PERSON", "CITY", "CODE", "WORDS", ""))
    text = value(kind, random) if kind else ""
    request = f"{verb} {{the|a|my|our}} {{{adjective}|}} {noun}"
    question = expand(f"{{please|}} {{{request}|{request}|can you {request}|i want to {request}}}", random)
    if not text:
        return Use(schema({}, name, description), question)
    question += f" {random.choice(('', 'for', 'of', 'called', 'number', 'with', 'to'))} {text}".replace("  ", " ")
    return Use(schema({argument: "string"}, name, description), question, {argument: text})


def some_use(random: Random) -> Use:
    """An everyday or a made-up tool."""
    return everyday(random) if random.random() < 0.72 else made_up(random)


def composed_uses(wanted: int, random: Random) -> list[Use]:
    """Uses of tools that are put together from an action and a thing."""
    uses: dict[str, Use] = {}
    while len(uses) < wanted:
        for one in related(wanted, random):
            # One name in three tells nothing, or something else.
            wording = one.plain_name if random.random() < 0.65 else f"{random.choice(VERBS)}_{random.choice(NOUNS)}"
            if random.random() < 0.1:
                wording = meaningless(random)
            tool = schema(one.types, tool_name(wording, random), one.description)
            use = Use(tool, one.request, {k: v for k, v in one.arguments.items() if str(v) in one.request})
            uses.setdefault(use.name, use)
    return list(uses.values())[:wanted]


def some_uses(random: Random, least: int = 1) -> list[Use]:
    """One to four uses of tools with different names."""
    wanted = max(least, random.choice((1, 2, 2, 3, 3, 4)))
    if random.random() < COMPOSED_SHARE:
        return composed_uses(wanted, random)
    uses: dict[str, Use] = {}
    # Neighbours in the list are related (order, cancel an order): the hardest choices, and the usual ones.
    related = random.randrange(len(domains())) if random.random() < 0.55 else None
    offsets = random.sample(range(5), 5)
    while len(uses) < wanted:
        use = everyday(random, related + offsets.pop()) if related is not None and offsets else some_use(random)
        uses.setdefault(use.name, use)
    return list(uses.values())


def outcome(random: Random) -> str:
    """What a tool gave back: a word, a number, a small JSON object or a sentence."""
    pick = random.random()
    if pick < 0.25:
        return random.choice((random.choice(RESULTS), digits(random), value("PHRASE", random)))
    if pick < 0.5:
        return f"{value('NUM', random)} {random.choice(('degrees', 'euros', 'items', 'minutes', 'km', 'percent', 'results'))}"
    keys = random.sample(
        ("status", "id", "price", "name", "city", "temperature", "count", "result", "date", "total"),
        random.choice((1, 2, 2)),
    )
    return json.dumps({key: value(random.choice(("NUM", "NAME", "CITY", "ID", "DAY")), random) for key in keys})


def told(result: str) -> str:
    """The answer that repeats a tool's result in plain words."""
    if result.startswith("{"):
        return "The result: " + ", ".join(f"{k} {v}" for k, v in json.loads(result).items()) + "."
    return f"The result: {result}."


def call(use: Use) -> dict[str, Any]:
    """The assistant message that calls the tool."""
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": use.name, "arguments": use.arguments}}],
    }


def turn(use: Use, random: Random) -> list[dict[str, Any]]:
    """Question and call; in one of four cases also the result and its answer."""
    messages = [{"role": "user", "content": spoken(use.question, random)}, call(use)]
    if random.random() < 0.25:
        result = outcome(random)
        messages += [{"role": "tool", "content": result}, {"role": "assistant", "content": told(result)}]
    return messages


def conversation(random: Random) -> Conversation:
    """Messages and tools: one to four requests, each answered by one of the tools."""
    uses = some_uses(random)
    random.shuffle(uses)
    asked = random.sample(uses, min(len(uses), random.choice((1, 2, 3, 4))))
    messages: list[dict[str, Any]] = []
    for use in asked:
        messages += turn(use, random)
        if random.random() < 0.1:
            messages += any_turn(random)
    return messages, [use.tool for use in uses]


def unfitting(random: Random) -> Conversation:
    """Tools are listed, but the question is one that none of them answers: the model answers as if there were none."""
    uses = some_uses(random)
    messages = any_turn(random)
    if random.random() < 0.4:
        messages += turn(random.choice(uses), random) if random.random() < 0.5 else any_turn(random)
    return messages, [use.tool for use in uses]


def item(random: Random) -> str:
    """Something to be repeated: a word, a name in snake case, a number, a code."""
    pick = random.random()
    if pick < 0.35:
        return invented(random)
    if pick < 0.65:
        return tool_name(random.choice(domains()).names, random)
    return value(random.choice(("WORDS", "PERSON", "CODE", "ID", "CITY")), random)


def echo(random: Random) -> Conversation:
    """Repeat a list: every token of the answer is copied, so no drill teaches copying with fewer tokens."""
    text = random.choice((" ", ", ", "\n")).join(item(random) for _ in range(random.randint(2, 12)))
    order = expand("{repeat|say|echo|write|copy}{|: | this: | after me: }", random)
    return [{"role": "user", "content": f"{order} {text}"}, {"role": "assistant", "content": text}], []


def recall(random: Random) -> Conversation:
    """Notes, and questions for some of them: find the key, copy its value."""
    notes = {item(random): item(random) for _ in range(random.choice((3, 4, 6, 8, 12, 16)))}
    link = random.choice((" is ", ": ", " = ", " means "))
    listed = random.choice((". ", "\n", ", ")).join(f"{key}{link}{note}" for key, note in notes.items())
    asked = random.sample(list(notes), min(len(notes), random.randint(3, 10)))
    messages: list[dict[str, Any]] = []
    for place, key in enumerate(asked):
        question = expand("{what is|tell me|give me|look up} ", random) + " " + key
        messages += [{"role": "user", "content": f"{listed}\n{question}" if place == 0 else question}]
        messages += [{"role": "assistant", "content": notes[key]}]
    return messages, []


def named(random: Random) -> Conversation:
    """The user names the tool."""
    uses = some_uses(random, least=2)
    messages: list[dict[str, Any]] = []
    for use in random.sample(uses, min(len(uses), random.choice((1, 2, 3)))):
        order = expand("{use|call|run|please use|invoke} {the tool|the function|} ", random)
        messages += [{"role": "user", "content": f"{order} {use.name}: {use.question}"}, call(use)]
    return messages, [one.tool for one in uses]


def copying(random: Random) -> Conversation:
    """One of the drills in copying."""
    return random.choice((echo, recall, named))(random)
