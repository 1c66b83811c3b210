# ruff: noqa: E501
"""System prompts of the corpus: the demo assistant's, none, or those that other people might write."""

from __future__ import annotations

from random import Random
from typing import Any

from inference.starter.persona import DEMO_INSTRUCTIONS

from .grammar import expand

OTHERS = (
    "You are {a|a helpful|a friendly|a polite|a useful} assistant{.| that answers questions.| who helps people.|. Be brief.}",
    "{Be brief|Answer briefly|Keep answers short|Be polite and short|Answer in one sentence}{.|, please.| and be friendly.}",
    "{Help the user|Help our users|Answer the user's questions|Answer questions about Sovereign|You help with Sovereign}{.| as well as you can.| in simple words.}",
    "You {answer|help with} {questions|requests} {of|from} {our customers|users|developers|colleagues}. {Use the tools when they fit.|Be kind.|}",
    "You are {an assistant|a helper|a bot} {with tools|that can use tools|that calls functions}. {Use them when needed.|Call a tool if it fits.|}",
    "{Use|Call} {a tool|one of the tools|the tools} {when|if} {it fits|needed|possible}.",
)


def with_system(messages: list[dict[str, Any]], kind: str, has_tools: bool, random: Random) -> list[dict[str, Any]]:
    """Put a system prompt before ``messages``, unless they have one of their own."""
    if messages[0]["role"] == "system":
        return messages
    pick = random.random()
    demo, none = (0.35, 0.35) if has_tools else (0.6, 0.2)
    if kind == "copying":
        demo, none = 0.15, 0.7
    if pick < demo:
        text = DEMO_INSTRUCTIONS
    elif pick < demo + none:
        return messages
    else:
        text = expand(random.choice(OTHERS), random)
    return [{"role": "system", "content": text}, *messages]
