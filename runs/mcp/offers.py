"""The assistants that MCP clients find as tools: those that an administrator offers, by names made of theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.utils.text import slugify

from assistants.models import Assistant
from sovereign.accounts.principals import Principal

LONGEST_SLUG = 40  # characters; a name may have 64
TAIL = 6  # characters of an id that tell two of one name apart
NAMELESS = "assistant"  # where nothing of a name is a letter that names of tools may have
PAGE = 100  # tools in one answer
THREAD = "The thread_id of an earlier answer, to go on with that conversation."
INPUT = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "minLength": 1, "description": "What to say to the assistant."},
        "thread_id": {"type": "string", "description": THREAD},
    },
    "required": ["message"],
    "additionalProperties": False,
}
FILE = {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}}
OUTPUT = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "description": "What the assistant said."},
        "thread_id": {"type": "string", "description": "Names the conversation, to go on with it."},
        "run_id": {"type": "string"},
        "files": {"type": "array", "items": FILE, "description": "Those that the answer made, shows or cites."},
        "incomplete": {"type": "string", "description": "Why the answer is not whole, where it is not."},
    },
    "required": ["answer", "thread_id", "run_id"],
}


@dataclass(frozen=True, slots=True)
class Offer:
    """An assistant as a tool."""

    name: str
    assistant_id: str
    title: str
    description: str

    def rendered(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": INPUT,
            "outputSchema": OUTPUT,
        }


def offers(principal: Principal) -> list[Offer]:
    """What a principal finds, the oldest first. Of several with one name only the oldest has it as it is."""
    offered = Assistant.objects.visible_to(principal).filter(offered_over_mcp=True, name__isnull=False)
    rows = offered.exclude(name="").order_by("created_at", "id").values_list("id", "name", "description")
    named: dict[str, Offer] = {}
    for identifier, title, description in rows:
        name = next(name for name in _names(title, identifier) if name not in named)
        named[name] = Offer(name, identifier, title, description or f"Ask the assistant “{title}”.")
    return list(named.values())


def offer_named(principal: Principal, name: str) -> Offer | None:
    """The offer that a call means. The longer name of an assistant stays its name, whatever others are called."""
    every = offers(principal)
    by_name = {_names(offer.title, offer.assistant_id)[1]: offer for offer in every}
    return {**by_name, **{offer.name: offer for offer in every}}.get(name)


def page_of(every: list[Offer], cursor: str | None) -> tuple[list[Offer], str | None]:
    """
    :param cursor: where the page before it ended: the last assistant's id.
    :returns: a page, and the cursor of the next.
    :raises KeyError: nothing ended there.
    """
    start = 0
    if cursor is not None:
        start = {offer.assistant_id: place for place, offer in enumerate(every, start=1)}[cursor]
    page = every[start : start + PAGE]
    return page, page[-1].assistant_id if start + PAGE < len(every) else None


def _names(title: str, identifier: str) -> tuple[str, str, str]:
    """By which an assistant may be called, the best first."""
    slug = slugify(title)[:LONGEST_SLUG].strip("-_") or NAMELESS
    plain = re.sub(r"[^a-zA-Z0-9]", "", identifier)
    return slug, f"{slug}-{plain[-TAIL:]}", f"{slug}-{plain}"[:128]
