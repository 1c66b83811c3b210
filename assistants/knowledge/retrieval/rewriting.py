"""A question as what is looked for: without the words that only ask, which stand in no document.

No model is called for it: it takes no time, gives the same every time, and invents nothing.
"""

from __future__ import annotations

import re
import string

_KNOW = r"(?:know|see|find|learn|read|hear)(?: about)?"
_ASKING = "|".join((
    r"please|kindly|hello|hi|hey|thanks|thank you",
    r"(?:can|could|would|will|do) you (?:please )?(?:tell|show|explain|describe|give|find|list|say|know)"
    r"(?: to)?(?: me| us)?(?: about)?",
    r"(?:tell|show|give|explain to|find|remind) (?:me|us)(?: about)?",
    rf"(?:i|we)(?:'d| would|’d) (?:like|love) to {_KNOW}",
    rf"(?:i|we) (?:want|need|have) to {_KNOW}",
    r"(?:i am|i'm|i’m|we are|we're|we’re) (?:looking|searching) for",
    r"do (?:i|we) know|(?:i|we) wonder",
    r"what (?:does|do|did) .{1,40}? say about",
    r"(?:what|who|where)(?:'s|’s| is| are| was| were)(?: there to know about| known about| said about)?",
))  # fmt: skip
_GAP = r"\b[\s,:;.!]*+"
# By themselves they may be of another language: "An welchen Tagen …", "So funktioniert …".
_SMALL = rf"(?:(?:so|well|and|if|whether|that|the|a|an){_GAP}){{0,4}}"
OPENING = re.compile(rf"{_SMALL}(?:{_ASKING}){_GAP}{_SMALL}", re.IGNORECASE)
THANKS = ("thank you", "thanks", "please")
MARKS = "?!.…"


def rewritten(query: str) -> str:
    """What the question asks for; the question itself where nothing else remains of it."""
    rest = _without_thanks(query.strip())
    begin = 0
    while opening := OPENING.match(rest, begin):
        begin = opening.end()
    return rest[begin:].strip() or query


def _without_thanks(query: str) -> str:
    """Without the marks and the politeness at the end. No expression: it would try every place of a long question."""
    rest = query.rstrip(MARKS + string.whitespace)
    for word in THANKS:
        before, last = rest[: -len(word)], rest[-len(word) :]
        if last.casefold() == word and before.endswith((*string.whitespace, ",")):
            return before.rstrip("," + string.whitespace)
    return rest
