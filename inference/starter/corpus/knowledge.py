"""Conversations about the product, about everything else, and the small talk between them."""

from __future__ import annotations

import re
from functools import cache
from random import Random
from typing import Any

from . import questions_outside as outside_words
from .answers import ANSWERS, GOODBYE, GREETING, OUTSIDE, THANKS
from .grammar import count, expand
from .heldout import overlaps
from .phrasing import dressed
from .questions_generic import generic
from .questions_outside import OUTSIDE as OUTSIDE_PHRASES
from .questions_setup import QUESTIONS as SETUP
from .questions_use import QUESTIONS as USE
from .values import ADJECTIVES, KINDS, invented, value

GENERIC = generic()
QUESTIONS = {topic: phrases + GENERIC.get(topic, ()) for topic, phrases in {**SETUP, **USE}.items()}
TOPICS = sorted(QUESTIONS)
# Asked more often than their share: they decide what a visitor thinks of the product, or look most like each other.
OFTEN = {
    "what": 2.0,
    "start": 1.5,
    "assistant": 2.0,
    "key_first": 1.5,
    "model_real": 2.0,
    "stream": 1.5,
    "tools": 1.5,
    "sdk": 1.3,
    "who": 1.5,
}
SLOT = re.compile(r"\$([A-Z]+)(s?)\b")
Turns = list[dict[str, Any]]


@cache
def phrase_weights(topic: str) -> list[float]:
    """How often each phrase of a topic is used: more for those with many wordings."""
    return [count(phrase) ** 0.25 for phrase in QUESTIONS[topic]]


def product_question(topic: str, random: Random) -> str:
    """One wording of a question on ``topic`` that the evaluation does not hold."""
    while True:
        phrase = random.choices(QUESTIONS[topic], phrase_weights(topic))[0]
        question = dressed(expand(phrase, random), random)
        if not overlaps(question):
            return question


def some_topic(random: Random) -> str:
    """A topic, by its weight."""
    return random.choices(TOPICS, [OFTEN.get(topic, 1.0) for topic in TOPICS])[0]


def fill(text: str, random: Random) -> str:
    """Replace ``$KIND`` by values, until none is left (a value may hold slots of its own)."""

    def one(match: re.Match[str]) -> str:
        kind, plural = match[1], match[2]
        if kind == "DOING":
            return random.choice(outside_words.DOING.split("|"))
        if kind == "WHO":
            return random.choice(
                (random.choice(outside_words.FAMOUS), value("PERSON", random), invented(random).capitalize())
            )
        if kind == "NOUN":
            return (random.choice(outside_words.NOUN) if random.random() < 0.85 else invented(random)) + plural
        if kind == "ADJ":
            return random.choice(ADJECTIVES)
        lists = {"FIELD": outside_words.FIELD, "WORK": outside_words.WORK, "JOB": outside_words.JOB}
        if kind in lists:
            return random.choice(lists[kind]) + plural
        return value(kind, random) + plural if kind in KINDS else match[0]

    for _ in range(3):
        text = SLOT.sub(one, text)
    return text


def outside_question(random: Random) -> str:
    """A question on anything but the product that the evaluation does not hold."""
    while True:
        question = dressed(fill(expand(random.choice(OUTSIDE_PHRASES), random), random), random)
        if not overlaps(question):
            return question


def pair(question: str, answer: str) -> Turns:
    """A question and its answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def product_turn(random: Random) -> Turns:
    """A question about the product."""
    topic = some_topic(random)
    return pair(product_question(topic, random), random.choice(ANSWERS[topic]))


def outside_turn(random: Random) -> Turns:
    """A question outside the model's knowledge."""
    return pair(outside_question(random), random.choice(OUTSIDE))


def small_turn(random: Random) -> Turns:
    """A greeting, a thank-you or a goodbye."""
    words, answer = random.choices(
        ((outside_words.GREETING, GREETING), (outside_words.THANKS, THANKS), (outside_words.GOODBYE, GOODBYE)),
        (3, 2, 1),
    )[0]
    while True:
        question = dressed(expand(random.choice(words), random), random)
        if not overlaps(question):
            return pair(question, answer)


def any_turn(random: Random) -> Turns:
    """One turn of a conversation without tools."""
    return random.choices((product_turn, outside_turn, small_turn), (0.7, 0.24, 0.06))[0](random)


def conversation(random: Random) -> tuple[Turns, list[dict[str, Any]]]:
    """One to five turns; a single one most often, since the first question matters most."""
    turns: Turns = []
    for _ in range(random.choice((1, 1, 2, 3, 4, 5))):
        turns += any_turn(random)
    return turns, []
