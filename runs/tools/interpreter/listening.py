"""Code as models write it, read while it comes: ``{"code": "…"}``, a string alone, or code that is no JSON at all."""

from __future__ import annotations

from collections.abc import Callable, Generator

KEYS = frozenset({"code", "input", "python", "script", "source"})  # models do not always keep to the one they are told
LENGTH = 256 * 1024  # characters of code; what comes behind them is not kept
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "/": "/", "\\": "\\"}
HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
QUOTES = frozenset("\"'")
FENCE = "```"
LANGUAGES = frozenset({"", "py", "python", "python3"})
LONGEST_LANGUAGE = max(map(len, LANGUAGES))
UNPAIRED = "\ufffd"

#: is sent one character after the other, and returns once it has read what it is for
Reading = Generator[None, str, str]
Put = Callable[[str], None]


class Listener:
    """``listener(piece)`` gives the code that is certain once the piece has come.

    However the text is cut, the pieces add up to the same code: what is held back at the end is never part of it.
    """

    def __init__(self) -> None:
        self._code: list[str] = []
        self._length = 0
        self._fence = _unfenced(self._keep)
        self._text = _text(self._fence.send)
        next(self._fence)
        next(self._text)

    def __call__(self, piece: str) -> str:
        for character in piece:
            if self._length == LENGTH:
                break
            self._text.send(character)
        code = "".join(self._code)
        self._code.clear()
        return code

    def _keep(self, code: str) -> None:
        code = code.replace("\x00", "")[: LENGTH - self._length]
        self._length += len(code)
        self._code.append(code)


def code_of(text: str) -> str:
    """The code in all that a model wrote."""
    return Listener()(text)


# ------------------------------------------------------------------------------------------------ JSON, or not


def _text(put: Put) -> Reading:
    """All that a model writes. Everything behind the code is passed over."""
    first = yield from _solid()
    if first == "{":
        yield from _object_or_code(put)
    elif first in QUOTES:
        yield from _string_or_code(first, put)
    else:
        put(first)
        yield from _everything(put)
    return (yield from _everything(_nowhere))


def _object_or_code(put: Put) -> Reading:
    blank, character = yield from _blank()
    if character in QUOTES:
        return (yield from _object(character, put))
    for seen in f"{{{blank}{character}":
        put(seen)
    return (yield from _everything(put))


def _object(quote: str, put: Put) -> Reading:
    """The first string under a key that may hold code; ``quote`` has begun the first key."""
    while True:
        name: list[str] = []
        yield from _string(quote, name.append)
        if (yield from _solid()) != ":":
            return ""
        value = yield from _solid()
        if value in QUOTES and "".join(name) in KEYS:
            return (yield from _string(value, put))
        if (yield from _passed_over(value)) != ",":
            return ""
        quote = yield from _solid()
        if quote not in QUOTES:
            return ""


def _passed_over(character: str) -> Reading:
    """A value that is no code; gives what stands behind it."""
    depth = 0
    while depth or character not in ",}]":
        if character in QUOTES:
            yield from _string(character, _nowhere)
        depth += (character in "[{") - (character in "]}")
        character = yield
    return character


def _string_or_code(quote: str, put: Put) -> Reading:
    """A string alone is the code; three quotes begin a text of Python."""
    second = yield
    if second != quote:
        return (yield from _string(quote, put, second))
    if (yield) == quote:
        for _ in range(3):
            put(quote)
        yield from _everything(put)
    return ""


def _string(quote: str, put: Put, character: str = "") -> Reading:
    """What stands in quotes: escapes that JSON does not know are Python's, and stay as they are."""
    high = ""
    while (character := character or (yield)) != quote:
        if character == "\\":
            character = yield from _escaped()
        if high:
            is_pair = "\udc00" <= character[0] <= "\udfff"
            put((high + character).encode("utf-16", "surrogatepass").decode("utf-16") if is_pair else UNPAIRED)
            character, high = "" if is_pair else character, ""
        if character and "\ud800" <= character[0] <= "\udbff":
            character, high = "", character
        for seen in character:
            put(UNPAIRED if "\udc00" <= seen <= "\udfff" else seen)
        character = ""
    if high:
        put(UNPAIRED)
    return quote


def _escaped() -> Reading:
    """What stands behind a backslash, as it is meant."""
    character = yield
    if character != "u":
        return ESCAPES.get(character, f"\\{character}")
    digits = ""
    while len(digits) < 4:
        character = yield
        digits += character
        if character not in HEXADECIMAL:
            return f"\\u{digits}"
    return chr(int(digits, 16))


def _solid() -> Reading:
    """The next character that is no white space."""
    while (character := (yield)).isspace():
        pass
    return character


def _blank() -> Generator[None, str, tuple[str, str]]:
    """White space, as much of it as may be code, and the character behind it."""
    blank: list[str] = []
    while (character := (yield)).isspace():
        if len(blank) < LENGTH:
            blank.append(character)
    return "".join(blank), character


def _everything(put: Put) -> Reading:
    while True:
        put((yield))


def _nowhere(text: str) -> None:
    pass


# ------------------------------------------------------------------------------------------------ Markdown


def _unfenced(keep: Put) -> Reading:
    """Code without the fence of Markdown around it, if one begins it."""
    blank, first = yield from _blank()
    begun = ""
    while FENCE.startswith(begun + first):
        begun += first
        if begun == FENCE:
            return (yield from _fenced(keep))
        first = yield
    keep(blank + begun + first)
    return (yield from _everything(keep))


def _fenced(keep: Put) -> Reading:
    """What stands between a fence and the next one; what comes behind that is passed over."""
    language, character = "", (yield)
    while character.isalnum() and len(language) <= LONGEST_LANGUAGE:
        language, character = language + character, (yield)
    if language.lower() not in LANGUAGES or not character.isspace():
        keep(language + character)
    begins_line, held = character == "\n", ""
    while True:
        character = yield
        if begins_line and FENCE.startswith(held + character):
            held += character
            if held == FENCE:
                yield from _everything(_nowhere)
            continue
        keep(held + character)
        begins_line, held = character == "\n", ""
