"""Conversations whose tools differ in one thing only: what is asked for decides, not what it is about.

Beside a lookup of a thing stand the actions on it, with the same argument; beside an action stands its opposite; or one
action is there for several things. Things that the evaluation's tools are named after do not occur.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from . import contrast_words as wordings
from .grammar import expand
from .heldout import held_out_tool_names
from .knowledge import any_turn
from .pages import every_page
from .phrasing import spoken
from .tool_compositions import THINGS, plural
from .tools import Conversation, Use, call, schema, tool_name
from .values import digits, invented, value

SLOT = re.compile(r"\$[A-Z]+|[{}|]")
ARTICLE = re.compile(r"\b(an?|An?) (?=(\w))")
POLITE = "{please|can you|could you|would you|can you please|i want you to|i need you to|go and|now|pls}"
AFTER = ("please", "for me", "now", "thanks", "right now", "quickly", "today")
MEASURED = (
    "{get_|read_|check_|measure_|}$Q|$N_$Q|get_$N_$Q|$Q_of_$N",
    "{Measure|Tell|Read|Check|Show} how $A {a|the} $N is;{Measure|Read|Get|Show} the $Q of {a|the} $N;$Q of {a|the} $N",
    "how $A is $R;{what is|what's} the $Q of $R;is $R {very|too|really|} $A;{tell me|read|check|show me} the $Q of $R",
)
CHANGED = (
    "{set|change|adjust}_{$Q|$N_$Q}",
    "{Set|Change|Adjust} {the $Q of {a|the} $N|how $A {a|the} $N is}",
    "{set|change|adjust|put} the $Q of $R to $V;{make|i want} $R $A, {say|at} $V;the $Q of $R {should|must} be $V",
)
# What tells a thing from others of its kind: names of an argument, and the kinds of value that it takes.
REFERENCES = (
    ("id|number|$N_id|$N_number|code|reference|$N", ("ID", "CODE", "CODE", "SLUG")),
    ("name|$N_name|$N|which|target", ("SLUG", "SLUG", "NAME", "TITLEWORD", "TITLE", "PERSON", "HOST")),
)


@dataclass(frozen=True)
class Aspect:
    """What a tool does with a thing, as phrases; ``changes`` where it is an action and no lookup."""

    names: str
    descriptions: tuple[str, ...]
    requests: tuple[str, ...]
    changes: bool


@dataclass(frozen=True)
class Argument:
    """An argument, where its value stands in a request (``""``: the thing itself), and the kind of the value."""

    name: str
    wording: str
    kind: str
    type: str


@dataclass(frozen=True)
class Contrasted:
    """A tool of a conversation, and what requests for it are made of."""

    tool: dict[str, Any]
    aspect: Aspect
    words: tuple[tuple[str, str], ...]
    reference: Argument | None
    others: tuple[Argument, ...]


def aspect(names: str, descriptions: str, requests: str, *, changes: bool) -> Aspect:
    """The parts of a row, apart."""
    return Aspect(names.strip(), tuple(descriptions.strip().split(";")), tuple(requests.strip().split(";")), changes)


@lru_cache(maxsize=1)
def lookups() -> tuple[Aspect, ...]:
    """What can be asked about any thing."""
    return tuple(aspect(*line.split(" / "), changes=False) for line in wordings.LOOKUPS)


@lru_cache(maxsize=1)
def pairs() -> tuple[tuple[Aspect, Aspect], ...]:
    """Actions, each beside its opposite or neighbour."""
    found = []
    for line in wordings.ACTIONS:
        both = []
        for part in line.split(" // "):
            names, verbs, requests = part.split(" / ")
            alternatives = "|".join(f"{verb}_$N" for verb in names.strip().split("|"))
            descriptions = f"{{{verbs.strip()}}} {{a|the|one|}} $N"
            both.append(aspect(f"{{{alternatives}}}", descriptions, requests, changes=True))
        found.append((both[0], both[1]))
    return tuple(found)


@lru_cache(maxsize=1)
def things() -> tuple[str, ...]:
    """Things that no tool of the evaluation is named after."""
    held = {part for name in held_out_tool_names() for part in name.lower().split("_")}
    return tuple(thing for thing in (*THINGS, *wordings.THINGS) if held.isdisjoint(thing.lower().split(" ")))


@lru_cache(maxsize=1)
def words() -> tuple[str, ...]:
    """Words of the pages: what people name services, channels and folders after."""
    texts = (SLOT.sub(" ", line.sentence) for page in every_page() for line in page)
    return tuple(sorted({word for text in texts for word in re.findall(r"\b[a-z]{4,11}\b", text)}))


def slug(random: Random) -> str:
    """A name as machines and projects have it: a word, two joined, or one with a number."""
    first, second = random.sample(words(), 2)
    joint = random.choice("--_")
    return random.choice(
        (
            first,
            first,
            first,
            f"{first}{joint}{second}",
            f"{first}{joint}{digits(random, 1, 3)}",
            f"{first}{joint}{random.randint(1, 20):02d}",
            f"{first}_{second}".upper(),
            f"{random.choice((first, invented(random)))}.{random.choice(('txt', 'log', 'md', 'csv', 'yaml', 'png'))}",
        )
    )


def some_value(kind: str, random: Random) -> str:
    """A value of a kind of ``values``, or a slug."""
    if kind == "SLUG":
        return slug(random)
    if kind == "FILE":
        return f"{random.choice(words())}/{slug(random)}" if random.random() < 0.3 else slug(random)
    if kind == "WORDS":
        return " ".join(random.sample(words(), random.choice((1, 2, 2, 3))))
    return value(kind, random)


def measured(random: Random) -> tuple[Aspect, Aspect]:
    """The lookup of a quality, and the action that sets it."""
    quality, adjectives = random.choice(wordings.QUALITIES).split(" / ")
    adjective = expand(adjectives, random)

    def filled(parts: tuple[str, str, str], *, changes: bool) -> Aspect:
        return aspect(*(part.replace("$Q", quality).replace("$A", adjective) for part in parts), changes=changes)

    return filled(MEASURED, changes=False), filled(CHANGED, changes=True)


def some_lookup(random: Random) -> Aspect:
    """A lookup; the usual ones, which stand first, twice as often."""
    if random.random() < 0.25:
        return measured(random)[0]
    return random.choice((*lookups(), *lookups()[:4]))


def chosen(random: Random) -> list[tuple[Aspect, str]]:
    """Two to four tools that are easily confused: what each does, and with what."""
    pick, thing = random.random(), random.choice(things())
    if pick < 0.5:
        aspects = [some_lookup(random) for _ in range(random.choice((1, 1, 2)))]
        aspects += [random.choice(random.choice(pairs())) for _ in range(random.choice((1, 1, 2)))]
    elif pick < 0.75:
        aspects = [*random.choice(pairs()), *([some_lookup(random)] if random.random() < 0.4 else [])]
    elif pick < 0.85:
        aspects = [*measured(random), *([random.choice(random.choice(pairs()))] if random.random() < 0.5 else [])]
    else:
        one = random.choice((some_lookup(random), random.choice(random.choice(pairs()))))
        return [(one, other) for other in random.sample(things(), random.choice((2, 2, 3)))]
    random.shuffle(aspects)
    return [(one, thing) for one in aspects]


def reference(random: Random) -> Argument | None:
    """The argument that names the thing; none where there is but one."""
    if random.random() < 0.12:
        return None
    names, kinds = random.choice(REFERENCES)
    kind = random.choice(kinds)
    whole = kind == "ID" and random.random() < 0.25
    return Argument(random.choice(names.split("|")), "", kind, "integer" if whole else "string")


def other_arguments(random: Random, taken: str) -> tuple[Argument, ...]:
    """One or two more arguments of an action, of different kinds."""
    found: dict[str, Argument] = {}
    for line in random.sample(wordings.ARGUMENTS, random.choice((1, 1, 2))):
        names, wording, kind = line.split(" / ")
        name = random.choice(names.split(","))
        if name != taken:
            whole = kind == "NUM" and random.random() < 0.5
            found[name] = Argument(name, wording, kind, "integer" if whole else "string")
    return tuple(found.values())


def worded(phrase: str, pairs_of_words: tuple[tuple[str, str], ...], random: Random) -> str:
    """A wording of the phrase about the thing, with the right article."""
    text = expand(phrase, random)
    for mark, word in pairs_of_words:
        text = text.replace(mark, word)
    return ARTICLE.sub(lambda found: found[1][0] + ("n " if found[2].lower() in "aeio" else " "), text)


def contrasted(one: Aspect, thing: str, named_by: Argument | None, random: Random) -> Contrasted:
    """The tool that does ``one`` to the thing."""
    about = (("$N", thing), ("$M", plural(thing)))
    snake = tuple((mark, re.sub(r"\W", "_", word)) for mark, word in about)
    own = named_by if any("$R" in request for request in one.requests) else None
    own = own and Argument(own.name.replace("$N", snake[0][1]), "", own.kind, own.type)
    others: tuple[Argument, ...] = ()
    if any("$V" in request for request in one.requests):
        whole = random.choice(("integer", "string"))
        others = (Argument(random.choice(("value", "target", "level", "to", "new_value")), "$V", "NUM", whole),)
    elif random.random() < (0.45 if one.changes else 0.08):
        others = other_arguments(random, own.name if own else "")
    phrase = one.names.replace("|", "} {") if "{" not in one.names else one.names
    name = tool_name(worded(f"{{{phrase}}}", snake, random).replace(" ", "_"), random)
    described = worded(random.choice(one.descriptions), about, random)
    types = {argument.name: argument.type for argument in ((own,) if own else ()) + others}
    return Contrasted(schema(types, name, described[:1].upper() + described[1:]), one, about, own, others)


def referred(thing: str, name: str, random: Random) -> str:
    """How a request speaks of the thing."""
    if not name:
        return f"{random.choice(('the', 'the', 'my', 'our'))} {thing}"
    wording = "{the|my|our||} $N {|||number|called|with the id} $1"
    if random.random() < 0.12:
        return name
    return expand(wording, random).replace("$N", thing).replace("$1", name)


def use(tool: Contrasted, random: Random) -> Use:
    """A request that the tool answers, with new values."""
    arguments: dict[str, Any] = {}

    def given(argument: Argument) -> str:
        text = some_value(argument.kind, random)
        arguments[argument.name] = int(text) if argument.type == "integer" else text
        return text

    which = given(tool.reference) if tool.reference else ""
    direct = tool.aspect.changes and random.random() < 0.6
    phrase = tool.aspect.requests[0] if direct else random.choice(tool.aspect.requests)
    text = worded(phrase, tool.words, random)
    text = text.replace("$R", referred(tool.words[0][1], which, random))
    if direct and random.random() < 0.3:
        text = f"{expand(POLITE, random)} {text}"
    for other in random.sample(tool.others, len(tool.others)):
        if other.wording == "$V":
            text = text.replace("$V", given(other))
        elif random.random() > 0.12:
            text = f"{text} {expand(other.wording, random).replace('$1', given(other))}"
    if random.random() < 0.08:
        text = f"{text} {random.choice(AFTER)}"
    return Use(tool.tool, text, arguments)


def contrasting(random: Random) -> list[Contrasted]:
    """The tools of a conversation, of different names."""
    named_by = reference(random)
    found: dict[str, Contrasted] = {}
    for one, thing in chosen(random):
        made = contrasted(one, thing, named_by, random)
        found.setdefault(made.tool["function"]["name"], made)
    return list(found.values())


def conversation(random: Random) -> Conversation:
    """One to five requests, each for any of the tools, so that those before do not tell which."""
    tools = contrasting(random)
    messages: list[dict[str, Any]] = []
    for _ in range(random.choice((1, 2, 3, 4, 5))):
        asked = use(random.choice(tools), random)
        messages += [{"role": "user", "content": spoken(asked.question, random)}, call(asked)]
        if random.random() < 0.04:
            messages += any_turn(random)
    return messages, [tool.tool for tool in tools]
