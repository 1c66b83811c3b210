# ruff: noqa: SIM905
"""Conversations that answer from a text by quoting the sentence which holds the answer.

A whole sentence is easier to copy than a value cut out of it, shows where an answer comes from, and can be held against
the text. Before it stands the question's word by which it is found (``On cafe: The cafe is run by …``): to look up a
word, and then its sentence, is two small steps for a network that does not learn the large one.
The text is read once, however many answers are learned from it.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from .facts import facts, filler, lowered
from .grammar import expand
from .knowledge import pair
from .pages import Line, every_page, told
from .phrasing import spoken

Turns = list[dict[str, Any]]
Conversation = tuple[Turns, list[dict[str, Any]]]
INTRODUCTIONS = (
    "{Use|Answer from|Answer with|Read|Quote} {this|the following} {passage|text|information|document|page}: ",
    "{Passage|Context|Text|Document|Information|Page}: ",
    "{Answer the question from|Use only|Answer only from|Answer from} {this|the} {passage|text|context|page}: ",
    "{You answer questions about this text|You know only this|Everything you know}: ",
    "",
)
# Prose of documentation: lines of JSON ``[package, group, title, sentences]``, as inference.embedder.corpus.sources
# writes them. Only a training names it: what the corpus holds besides needs no file from outside.
PROSE: list[Path] = []
WORD = re.compile(r"[A-Za-z0-9][\w.\-]*[\w]|[A-Za-z0-9]")
COMMON = frozenset(
    (
        "the a an of to in is are be and or for with on at by as it its this that which from not if when will can has "
        "have was were been do does than then into each any all you your may must should also only but so no such "
        "these those their there about after before between during more most other some out up over under one two "
        "while what who how"
    ).split()
)
LONGEST_SENTENCE = 34  # words
SHORTEST_SENTENCE = 5
ASKED = (
    "{what about|tell me about|what does it say about|what is said about|find|quote|anything on|and|where is} $K",
    "$K",
    "{what|which|who|how|when|where|why} {is|are|does|do|about|of|has|can|must|was|} $K",
    "{what|which|who|how many|how much|how long|when|where} $K",
    "{do you know|is there} {something|anything} {about|on} $K",
)


def page(random: Random) -> list[Line]:
    """Three to twenty sentences of a page, sometimes of two."""
    pages = every_page()
    lines = list(random.choice(pages))
    if random.random() < 0.25:
        lines = random.sample(lines, len(lines) // 2) + random.sample(
            other := list(random.choice(pages)), len(other) // 2
        )
    wanted = min(len(lines), random.choice((3, 4, 4, 5, 5, 6, 6, 8, 8, 10, 12, 16)))
    kept = sorted(random.sample(range(len(lines)), wanted))
    return [told(lines[place], random) for place in kept]


def notes(random: Random) -> list[Line]:
    """Three to sixteen facts of the rows, some of them two in a sentence."""
    lines: list[Line] = []
    for fact in facts(random.choice((3, 4, 5, 6, 8, 12)), random):
        if lines and random.random() < 0.25:
            before = lines.pop()
            link = random.choice((", and ", "; ", ", while ", ", but "))
            whole = before.sentence.removesuffix(".") + link + lowered(fact.sentence)
            lines.append(Line(whole, (*before.questions, fact.question)))
        else:
            lines.append(Line(fact.sentence, (fact.question,)))
    for _ in range(len(lines) // 5):
        lines.insert(random.randint(0, len(lines)), Line(filler(random), ()))
    return lines


@lru_cache(maxsize=1)
def prose_sentences() -> tuple[tuple[str, ...], ...]:
    """Sentences of documentation, by paragraph; none where the prose has not been gathered."""
    found = []
    for path in PROSE:
        for row in path.read_text().splitlines():
            sentences = [text for text in json.loads(row)[3] if fits(text)]
            if sentences:
                found.append(tuple(sentences))
    return tuple(found)


def fits(sentence: str) -> bool:
    """True for a sentence of ordinary length that ends like one."""
    return (
        sentence.endswith(".")
        and sentence.isascii()
        and len(sentence) < 220
        and SHORTEST_SENTENCE <= sentence.count(" ") + 1 <= LONGEST_SENTENCE
    )


def inflected(word: str, random: Random) -> str:
    """The word, in a tenth of all cases with another ending."""
    if random.random() > 0.1 or len(word) < 5 or not word.isalpha():
        return word
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending):
            return word.removesuffix(ending)
    return word + random.choice(("s", "ing", "ed"))


def asked_of(sentence: str, others: set[str], random: Random) -> str:
    """A question made of some of a sentence's words, one of them its own; ``""`` where it has no word of its own."""
    words = [word for word in WORD.findall(sentence) if word.lower() not in COMMON]
    own = [word for word in words if word.lower() not in others]
    if not own:
        return ""
    chosen = set(random.sample(own, min(len(own), random.choice((1, 2, 2, 3)))))
    chosen |= set(random.sample(words, min(len(words), random.choice((0, 1, 2, 3)))))
    kept = [word for word in dict.fromkeys(words) if word in chosen]
    if random.random() < 0.35:
        random.shuffle(kept)
    joint = random.choice((" ", " ", " the ", " of "))
    key = joint.join(inflected(word, random) for word in kept)
    if random.random() < 0.6:
        key = key.lower()
    return expand(random.choice(ASKED), random).replace("$K", key).strip()


def prose(random: Random) -> list[Line]:
    """Three to eighteen sentences of documentation and questions made of their words."""
    paragraphs = prose_sentences()
    wanted = random.choice((3, 4, 4, 5, 5, 6, 6, 8, 10, 12))
    sentences: dict[str, None] = {}
    while len(sentences) < wanted:
        sentences |= dict.fromkeys(random.choice(paragraphs)[: random.choice((1, 2, 3))])
    texts = list(sentences)
    bags = [{word.lower() for word in WORD.findall(text)} for text in texts]
    lines = []
    for place, text in enumerate(texts):
        others = set().union(*(bag for at, bag in enumerate(bags) if at != place))
        question = asked_of(text, others, random)
        lines.append(Line(text, (question,) if question else ()))
    return lines


def written(lines: list[Line], random: Random) -> str:
    """The sentences as one text, most of them in one paragraph."""
    text = lines[0].sentence
    for line in lines[1:]:
        text += random.choice((" ", " ", " ", " ", "\n")) + line.sentence
    return text


def stem(word: str) -> str:
    """What forms of a word share: ``opens`` and ``opening`` are found by ``open``."""
    word = word.lower()
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 3:
            return word.removesuffix(ending)
    return word


def stems(text: str) -> dict[str, str]:
    """The words of a text that tell something, by their stems."""
    return {stem(word): word for word in WORD.findall(text) if word.lower() not in COMMON}


def looked_up(question: str, sentence: str, text: list[str]) -> str:
    """The words of a sentence by which a question finds it among the sentences of a text, the rarest last.

    One where it is in no other sentence, else two; ``""`` where question and sentence share none.
    """
    own, asked = stems(sentence), stems(question)
    shared = [key for key in asked if key in own]
    rarity = {key: sum(key in stems(other) for other in text) for key in shared}
    shared.sort(key=lambda key: (rarity[key], -len(key)))
    kept = shared[:1] if shared and rarity[shared[0]] == 1 else shared[:2]
    return " ".join(own[key] for key in reversed(kept))


def answered(lines: list[Line]) -> list[tuple[str, str]]:
    """Every question about a text that has a word of its sentence, with its answer."""
    sentences = [line.sentence for line in lines]
    pairs = []
    for line in lines:
        for question in line.questions:
            if words := looked_up(question, line.sentence, sentences):
                pairs.append((question, f"On {words}: {line.sentence}"))
    return pairs


def conversation(lines: list[Line], random: Random, asked: int = 14) -> Conversation:
    """A text and questions on some of its sentences, each answered with the sentence."""
    introduction = expand(random.choice(INTRODUCTIONS), random)
    turns: Turns = [{"role": "system", "content": f"{introduction} {written(lines, random)}".strip()}]
    pairs = answered(lines)
    for question, answer in random.sample(pairs, min(asked, len(pairs))):
        turns += pair(spoken(question, random), answer)
    return turns, []


def text(random: Random) -> list[Line]:
    """One of the kinds of texts."""
    kinds = {page: 0.4, notes: 0.3, prose: 0.3 if PROSE else 0.0}
    return random.choices(list(kinds), list(kinds.values()))[0](random)


def quoting(random: Random) -> Conversation:
    """A text of some kind, and questions about it."""
    made = conversation(text(random), random)
    return made if len(made[0]) > 1 else quoting(random)
