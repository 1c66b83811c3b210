# ruff: noqa: S311  (random numbers are reproducible, not secret)
"""Pairs from the thesaurus: words of everyday and office life that mean the same or go together."""

from __future__ import annotations

import random as std_random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")
ROUNDS = 12  # pairs that begin with a line, in each turn
MOST_LINES = 3  # of which a pair is put together
BENT = 0.25  # words that stand in another form
ASKED = 0.4  # pairs whose first side is put as a question
VOWELS = "aeiou"
FRAMES = (
    "how do I {}", "can I {}", "may I {}", "what do I do about {}", "what happens if {}", "who is in charge of {}",
    "when is the {}", "where can I {}", "do you have {}", "is there a {}", "my {}", "the {} is not right", "I have {}",
    "I want {}", "I need the {}", "we would like {}", "tell me about {}", "why is the {} so", "how much is {}",
    "how long does {} take", "must I {}", "somebody has {}", "what if the {} was", "should we {}", "which {}",
)  # fmt: skip


@cache
def topics() -> list[list[list[str]]]:
    """Topics of lines of terms."""
    found: list[list[list[str]]] = []
    for line in FILE.read_text().splitlines():
        if line.startswith("="):
            found.append([])
        elif line and not line.startswith("#"):
            found[-1].append([term.strip() for term in line.split(",")])
    return found


def pairs(turn: int) -> Iterator[tuple[str, str]]:
    """Two texts of different terms from the same one to three lines, as often of one topic as of any."""
    random = std_random.Random(f"thesaurus:{turn}")
    every = [line for topic in topics() for line in topic]
    for topic in topics():
        for line in topic * ROUNDS:
            others = random.sample(random.choice((topic, every)), min(MOST_LINES - 1, len(topic)))
            lines = [line, *others[: random.randrange(MOST_LINES)]]
            left, right = zip(*(halves(terms, random) for terms in lines), strict=True)
            asked = random.choice(FRAMES) if random.random() < ASKED else "{}"
            yield asked.format(bent(" ".join(left), random)), bent(" ".join(random.sample(right, len(right))), random)


def halves(terms: list[str], random: std_random.Random) -> tuple[str, str]:
    """One or two terms of a line, and some of the others."""
    mixed = random.sample(terms, len(terms))
    cut = random.randint(1, min(2, len(mixed) - 1))
    return " ".join(mixed[:cut]), " ".join(mixed[cut : cut + random.randint(1, 4)])


def bent(text: str, random: std_random.Random) -> str:
    """Some words in another form: the tokenizer knows no stems, so that forms have to be learned."""
    return " ".join(form(word, random) if random.random() < BENT else word for word in text.split())


def form(word: str, random: std_random.Random) -> str:
    """A regular plural, past or present participle; not always a word that exists."""
    ending = random.choice(("s", "ed", "ing"))
    if len(word) < 3 or not word.isalpha():
        return word
    if word.endswith("y") and word[-2] not in VOWELS:
        return word + "ing" if ending == "ing" else f"{word[:-1]}ie{ending[-1]}"
    if ending == "s":
        return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
    if word.endswith("e"):
        return word[:-1] + ending
    short = len(word) < 5 and word[-1] not in VOWELS + "wxy" and word[-2] in VOWELS and word[-3] not in VOWELS
    return word + (word[-1] if short else "") + ending
