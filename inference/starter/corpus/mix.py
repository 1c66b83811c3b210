"""The curriculum: which kind of conversation the document of a given number is.

A document depends on the seed and its number alone, so a training is resumed by a number, and a test can look at
any part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from . import contrast, knowledge, personas, quoting, searching, tools
from .heldout import overlaps
from .systems import with_system

SEED = 20261121
Conversation = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Document:
    """One conversation of the corpus and the tools listed in it."""

    kind: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]


@dataclass(frozen=True)
class Phase:
    """A stretch of the curriculum: how many documents, and the weight of each kind in it."""

    name: str
    documents: int
    weights: dict[str, float]


KINDS: dict[str, Callable[[Random], Conversation]] = {
    "tools": tools.conversation,
    "copying": tools.copying,
    "unfitting": tools.unfitting,
    "knowledge": knowledge.conversation,
    "persona": personas.persona,
    "quoting": quoting.quoting,
    "searching": searching.searching,
    "contrast": contrast.conversation,
}
# Copying comes first and alone: mixed in from the start, it is not learned in the tokens that there are.
OPENING = {"knowledge": 0.4, "tools": 0.4, "copying": 0.08, "unfitting": 0.06, "quoting": 0.04, "persona": 0.02}
CALLING = {"knowledge": 0.22, "tools": 0.45, "copying": 0.22, "unfitting": 0.05, "quoting": 0.04, "persona": 0.02}
EVERYTHING = {"knowledge": 0.55, "tools": 0.25, "unfitting": 0.07, "copying": 0.03, "quoting": 0.06, "persona": 0.04}
LAST = {"knowledge": 0.48, "tools": 0.37, "copying": 0.04, "unfitting": 0.06, "quoting": 0.03, "persona": 0.02}
CALLS = {"knowledge": 0.22, "tools": 0.62, "copying": 0.06, "unfitting": 0.06, "quoting": 0.03, "persona": 0.01}
COPIES = {"knowledge": 0.15, "tools": 0.25, "copying": 0.35, "unfitting": 0.05, "quoting": 0.17, "persona": 0.03}
WIDE = {"knowledge": 0.12, "tools": 0.36, "copying": 0.10, "unfitting": 0.05, "quoting": 0.29, "persona": 0.08}
SETTLED = {"knowledge": 0.24, "tools": 0.42, "copying": 0.07, "unfitting": 0.07, "quoting": 0.13, "persona": 0.07}
FIRM = {"knowledge": 0.29, "tools": 0.43, "copying": 0.07, "unfitting": 0.07, "quoting": 0.08, "persona": 0.06}
QUOTING = {"knowledge": 0.05, "tools": 0.05, "copying": 0.02, "quoting": 0.80, "searching": 0.08}
CLOSING = {"knowledge": 0.27, "tools": 0.30, "unfitting": 0.06, "copying": 0.04, "quoting": 0.22, "searching": 0.05}
CLOSING |= {"persona": 0.06}
EVEN = {"knowledge": 0.24, "tools": 0.42, "unfitting": 0.07, "copying": 0.06, "quoting": 0.14, "searching": 0.04}
EVEN |= {"persona": 0.03}
NEIGHBOURS = {"knowledge": 0.22, "tools": 0.51, "unfitting": 0.07, "copying": 0.05, "quoting": 0.10, "searching": 0.03}
NEIGHBOURS |= {"persona": 0.02}
CONTRAST = {"contrast": 0.33, "tools": 0.18, "knowledge": 0.22, "quoting": 0.145, "unfitting": 0.055, "copying": 0.02}
CONTRAST |= {"searching": 0.02, "persona": 0.03}
BALANCED = {"tools": 0.38, "contrast": 0.22, "knowledge": 0.20, "quoting": 0.10, "unfitting": 0.05, "copying": 0.02}
BALANCED |= {"searching": 0.015, "persona": 0.015}
CURRICULUM = (
    Phase("copying", 30_720, {"tools": 0.6, "copying": 0.4}),
    Phase("opening", 8_192, OPENING),
    Phase("everything", 8_192, EVERYTHING),
    # The phase before showed tool names half copied, half guessed: copying again, until it is firm.
    Phase("calling", 24_576, CALLING),
    Phase("last", 45_568, LAST),
    # Answers about the product are right by now; the tools are not.
    Phase("calls", 16_896, CALLS),
    # From here on optimizers that began anew: copying was still half right.
    Phase("copies", 12_288, COPIES),
    # Tools of thousands of kinds, personas that greet.
    Phase("wide", 9_216, WIDE),
    Phase("settled", 6_144, SETTLED),
    Phase("firm", 10_240, FIRM),
    # Two heads and a layer more, and answers from a text that are sentences of it.
    Phase("quoting", 11_776, QUOTING),
    Phase("closing", 23_552, CLOSING),
    # Quotations are learned; tools and answers about the product were left too small a share for it.
    Phase("even", 107_520, EVEN),
    # The right one of two neighbours is what is wrong most.
    Phase("neighbours", 78_848, NEIGHBOURS),
    # Where the words alone did not tell a question about a thing from an order to change it.
    Phase("contrast", 66_560, CONTRAST),
    # Contrasts alone left the values of arguments too few tools to learn from.
    Phase("balanced", 10**9, BALANCED),
)


def phase_of(number: int) -> Phase:
    """The phase that holds document ``number``; the last phase has no end."""
    for phase in CURRICULUM:
        if number < phase.documents:
            return phase
        number -= phase.documents
    return CURRICULUM[-1]


def document(number: int, seed: int = SEED) -> Document:
    """The corpus's document ``number``; one that holds a question of the evaluation is made anew."""
    weights = phase_of(number).weights
    attempt = 0
    while True:
        random = Random(f"{seed}:{number}:{attempt}")  # noqa: S311  reproducible, not secret
        kind = random.choices(list(weights), list(weights.values()))[0]
        messages, listed = KINDS[kind](random)
        messages = with_system(messages, kind, bool(listed), random)
        if not any(overlaps(message["content"]) for message in messages if message["role"] != "tool"):
            return Document(kind, messages, listed)
        attempt += 1
