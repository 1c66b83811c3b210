"""Text that models and other servers wrote, as somebody has to see it who allows or approves it."""

from __future__ import annotations

import unicodedata

#: What fonts draw nothing for, beside control and format characters (Cc, Cf, Zl, Zp): Unicode's
#: Default_Ignorable_Code_Point, with the variation selectors and the tags, and the blank of Braille.
BLANKS = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
)  # fmt: skip
HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp"})


def visible(text: str) -> str:
    """The text with its invisible characters spelt out: what somebody approves must not be hidden from them.

    Ends of lines and tabs stay. The chat's ``json.js`` spells out the same characters.

    >>> visible("a\\u202eb\\U000e0041")
    'a\\\\u202eb\\\\u{e0041}'
    """
    return "".join(spelt_out(sign) if is_hidden(sign) else sign for sign in text)


def storable(text: str, longest: int) -> str:
    """The beginning of a text of strangers as databases take it: without NUL and halves of characters."""
    return visible(text[:longest].encode(errors="replace").decode())[:longest]


def is_hidden(sign: str) -> bool:
    if sign in "\n\r\t":
        return False
    return unicodedata.category(sign) in HIDDEN or any(first <= ord(sign) <= last for first, last in BLANKS)


def spelt_out(sign: str) -> str:
    code = f"{ord(sign):04x}"
    return f"\\u{code}" if len(code) == 4 else f"\\u{{{code}}}"
