"""Code with colours: its parts in a few classes of our own, for which the stylesheet has light and dark colours."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from itertools import groupby
from time import thread_time
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound

LONGEST = 20_000  # characters that get colours; what is longer is code all the same
LONGEST_LINE = 2_000  # patterns of lexers go back and forth in a line
LONGEST_WORK = 0.5  # seconds of CPU for one piece of code: what takes longer was written to
EMPTY = re.compile(r"\s{200}|(?:[ \t]*\n){50}")  # and over lines where there is nothing in them

#: Only lexers that are looked after: of the five hundred that there are, many are slow on what no person writes.
_NAMES = """
    bash c clojure cmake console cpp csharp css dart diff docker elixir erlang fsharp go graphql groovy haskell html
    http ini java javascript json julia kotlin latex lua make markdown nginx objective-c ocaml perl php powershell
    pycon python r ruby rust scala scss sql swift terraform toml typescript xml yaml zig
"""
LANGUAGES = frozenset(_NAMES.split())
_ALIASES = """
    c#=csharp c++=cpp cs=csharp dockerfile=docker golang=go hcl=terraform js=javascript json5=json jsonc=json
    jsx=javascript kt=kotlin makefile=make md=markdown mysql=sql objc=objective-c patch=diff postgresql=sql
    ps1=powershell py=python python3=python rb=ruby rs=rust sh=bash shell=bash sqlite=sql svg=xml tex=latex
    tf=terraform ts=typescript tsx=typescript yml=yaml zsh=bash
"""
ALIASES = dict(pair.split("=") for pair in _ALIASES.split())
#: The first that a part belongs to names its class.
CLASSES: tuple[tuple[Any, str], ...] = (
    (Token.Comment, "t-comment"),
    (Token.Literal.String, "t-string"),
    (Token.Literal.Number, "t-number"),
    (Token.Keyword, "t-keyword"),
    (Token.Operator.Word, "t-keyword"),
    (Token.Name.Tag, "t-keyword"),
    (Token.Name.Function, "t-name"),
    (Token.Name.Class, "t-name"),
    (Token.Name.Attribute, "t-name"),
    (Token.Name.Decorator, "t-name"),
    (Token.Name.Builtin, "t-builtin"),
    (Token.Generic.Deleted, "t-deleted"),
    (Token.Generic.Inserted, "t-inserted"),
    (Token.Generic.Heading, "t-keyword"),
)


def language_of(info: str) -> str:
    """The language that a fence names, by the name that we have for it; "" for none and for an unknown one."""
    name = next(iter(info.split()), "").lower().strip("{}.")
    name = ALIASES.get(name, name)
    return name if name in LANGUAGES else ""


def highlighted(code: str, language: str) -> str:
    """``code`` as HTML, with colours where the language is of :data:`LANGUAGES` and the code of a size for them."""
    lexer = _lexer(language) if language and _is_fit(code) else None
    try:
        parts = _parts(lexer, code) if lexer is not None else [("", code)]
    except _TooSlowError:
        return escape(code)
    return "".join(
        _span(name, "".join(text for _, text in same)) for name, same in groupby(parts, lambda part: part[0])
    )


class _TooSlowError(Exception):
    """A lexer took the time that one may take."""


def _parts(lexer: Lexer, code: str) -> list[tuple[str, str]]:
    """The code in pieces, with the class of each. :raises _TooSlowError: see :data:`LONGEST_WORK`."""
    until, parts = thread_time() + LONGEST_WORK, []
    for kind, text in lexer.get_tokens(code):
        if thread_time() > until:
            raise _TooSlowError
        parts.append((_class_of(kind), text))
    return parts


def _is_fit(code: str) -> bool:
    if len(code) > LONGEST or EMPTY.search(code):
        return False
    return all(len(line) <= LONGEST_LINE for line in code.split("\n"))


@lru_cache(maxsize=len(LANGUAGES))
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=1_024)
def _class_of(kind: Any) -> str:
    return next((name for parent, name in CLASSES if kind in parent), "")


def _span(name: str, text: str) -> str:
    return f'<span class="{name}">{escape(text)}</span>' if name else escape(text)
