r"""Where formulas stand in a text: ``$…$`` and ``\(…\)`` in a line, ``$$…$$`` and ``\[…\]`` in one or over several."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from sovereign.web.rendering.formulas import LONGEST

CLOSINGS = {"$$": "$$", "$": "$", r"\[": r"\]", r"\(": r"\)"}  # by what opens them
OF_BLOCKS = ("$$", r"\[")
BLANK = re.compile(r"\n(?=[ \t>]*\n)")


def add_to(parser: MarkdownIt) -> None:
    """Tokens ``formula``, with ``meta``: the ``original`` text, and whether it ``is_block``."""
    parser.inline.ruler.before("escape", "formula", _in_line)
    parser.block.ruler.before("fence", "formula", _over_lines, {"alt": ["paragraph", "blockquote", "list"]})


def _in_line(state: StateInline, silent: bool) -> bool:
    text, start = state.src, state.pos
    opening = next((one for one in CLOSINGS if text.startswith(one, start)), None)
    if opening is None or (opening == "$" and not _may_open(text, start)):
        return False
    inner = start + len(opening)
    end = _end_of(text, inner, CLOSINGS[opening])
    if end == -1 or not text[inner:end].strip() or (opening == "$" and not _may_close(text, end)):
        return False
    if not silent:
        _push(state, text[start : end + len(opening)], opening)
    state.pos = end + len(opening)
    return True


def _end_of(text: str, start: int, closing: str) -> int:
    """Where the formula ends that began there, -1 where it does not: a dollar may be escaped in it."""
    end = text.find(closing, start, start + LONGEST)
    while end > 0 and closing[0] == "$" and text[end - 1] == "\\":
        end = text.find(closing, end + 1, start + LONGEST)
    return end


def _may_open(text: str, place: int) -> bool:
    """A dollar that is no price: ``5$`` and ``$ 5`` are."""
    return not (place > 0 and text[place - 1].isdigit()) and not text[place + 1 : place + 2].isspace()


def _may_close(text: str, place: int) -> bool:
    """As in "$5 and $6": neither behind a space, nor before a digit."""
    return not text[place - 1].isspace() and not text[place + 1 : place + 2].isdigit()


def _over_lines(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """What is between the delimiters is no list, no heading and no line under one."""
    place = state.bMarks[start] + state.tShift[start]
    opening = next((one for one in OF_BLOCKS if state.src.startswith(one, place)), None)
    if opening is None or state.is_code_block(start):
        return False
    last = _last_line(state, start, end, opening)
    if last is None:
        return False
    if not silent:
        _push(state, state.getLines(start, last + 1, state.tShift[start], False).strip(), opening)
        state.line = last + 1
    return True


def _last_line(state: StateBlock, start: int, end: int, opening: str) -> int | None:
    """The line that the formula ends with; ``None`` where something stands behind it, or it does not end.

    Asked of the same line once for each quote and list around it: so it looks up, and reads no line.
    """
    known = state.env.get("places")
    if known is None:
        known = state.env["places"] = _Places.of(state.src)
    first = state.bMarks[start] + state.tShift[start] + len(opening)
    closing = _next(known.closings[opening], first)
    if closing is None or closing - first > LONGEST or _next(known.blanks, first, before=closing) is not None:
        return None
    last = bisect_right(state.eMarks, closing)
    behind = state.src[closing + len(CLOSINGS[opening]) : state.eMarks[last]]
    return last if last < end and not behind.strip() else None


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a text has what ends a formula, in order: found once."""

    closings: dict[str, list[int]]  # by what opens one
    blanks: list[int]  # the ends of lines that one without words follows, also where it is in a quote

    @classmethod
    def of(cls, text: str) -> _Places:
        found = {one: re.finditer(f"(?={re.escape(CLOSINGS[one])})", text) for one in OF_BLOCKS}
        return cls(
            closings={one: [match.start() for match in matches] for one, matches in found.items()},
            blanks=[match.start() for match in BLANK.finditer(text)],
        )


def _next(places: list[int], start: int, before: int | None = None) -> int | None:
    index = bisect_left(places, start)
    found = places[index] if index < len(places) else None
    return None if found is None or (before is not None and found >= before) else found


def _push(state: StateInline | StateBlock, original: str, opening: str) -> None:
    token = state.push("formula", "", 0)
    token.content = original[len(opening) : -len(opening)]
    token.block = isinstance(state, StateBlock)
    token.meta = {"original": original, "is_block": opening in OF_BLOCKS}
