"""A question as what is looked for: without the words that only ask, which stand in no document.

No model is called for it: it takes no time, gives the same every time, and invents nothing.
"""

from __future__ import annotations

import re

_KNOW = r"(?:know|see|find|learn|read|hear)(?: about)?"
_ASKING = "|".join((
    r"please|kindly|hello|hi|hey|thanks|thank you|so|well|and|if|whether|that|the|a|an",
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
OPENING = re.compile(rf"(?:{_ASKING})\b[\s,:;.!]*", re.IGNORECASE)
ENDING = re.compile(r"(?:[\s,]+(?:please|thanks|thank you))?[\s?!.…]*\Z", re.IGNORECASE)


def rewritten(query: str) -> str:
    """What the question asks for; the question itself where nothing else remains of it."""
    rest = ENDING.sub("", query.strip())
    while (opening := OPENING.match(rest)) and opening.end():
        rest = rest[opening.end() :]
    return rest.strip() or query
