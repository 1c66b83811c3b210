r"""The language of prompts: text with places to fill in. It has no code, no expressions and no loops without an end.

=========================== ==========================================================================
``{{ name }}``              the variable's value; a list is told with commas
``{{# name }}…{{/ name }}`` what is between, where there is a value (not empty, not 0, not false); of a
                            list once for each of its texts
``{{^ name }}…{{/ name }}`` what is between, where there is none
``{{ . }}``                 in a section: what it is about, which in a list's is the text it has come to
``\{{``                     two braces; ``\\{{`` is a backslash before a place to fill in
=========================== ==========================================================================

The beginning or end of a section that has a line of its own leaves no empty line behind. Values are never read as
templates. Reading takes time by the template's length; filling in is bounded by its steps and by what comes out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistants.prompts.variables import BUILT_IN, NAME, NOT_TEXT, as_text, settled
from sovereign.core.errors import ApiError

TEMPLATE_LENGTH = 256_000  # characters, also of what comes out
MAXIMUM_DEPTH = 8  # sections in one another
MAXIMUM_STEPS = 100_000  # more than the longest template has parts: only lists in lists take more
SHOWN = 64  # characters of a template that an error repeats
OPEN, CLOSE = "{{", "}}"
ITEM = "."  # what the section around it is about
BLANKS = " \t"


def names(text: str) -> frozenset[str]:
    """The variables that a template names.

    :raises ApiError: 400, ``invalid_template``.
    """
    return frozenset(_read(text).names)


def check(text: str, variables: Sequence[Mapping[str, Any]]) -> None:
    """Whether a template can be filled in with these variables.

    :param variables: as ``variables.checked`` gives them; the built-in ones are known besides.
    :raises ApiError: 400, ``invalid_template``, or ``unknown_variable`` with all that are unknown.
    """
    _refuse_unknown(_read(text), [variable["name"] for variable in variables])


def fill(
    text: str,
    variables: Sequence[Mapping[str, Any]],
    values: Mapping[str, Any],
    built_in: Mapping[str, str] | None = None,
) -> str:
    """The template with its places filled in.

    :param variables: as ``variables.checked`` gives them.
    :param values: by name, as JSON or as texts; those that no variable has the name of are left alone.
    :param built_in: texts for ``variables.BUILT_IN``; one that is not there is empty.
    :raises ApiError: 400, as ``check``; ``missing_variable``, ``invalid_variable``; ``prompt_too_long``.
    """
    template = _read(text)
    _refuse_unknown(template, [variable["name"] for variable in variables])
    known = {name: (built_in or {}).get(name, "") for name in BUILT_IN}
    output = _Output({**known, **settled(variables, values)})
    output.write(template.parts, "")
    return "".join(output.texts)


@dataclass(frozen=True, slots=True)
class _Place:
    name: str


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    is_inverted: bool
    position: int
    parts: list[_Part] = field(default_factory=list)


_Part = str | _Place | _Section


@dataclass(slots=True)
class _Output:
    """What has been written so far, and the work that it took."""

    values: Mapping[str, Any]
    texts: list[str] = field(default_factory=list)
    length: int = 0
    steps: int = 0

    def write(self, parts: Sequence[_Part], item: str) -> None:
        for part in parts:
            self._step()
            if isinstance(part, _Section):
                self._write_section(part, item)
            else:
                self._add(part if isinstance(part, str) else self._text_of(part.name, item))

    def _write_section(self, section: _Section, item: str) -> None:
        value = item if section.name == ITEM else self.values[section.name]
        if section.is_inverted:
            if not value:
                self.write(section.parts, item)
        elif isinstance(value, list):
            for one in value:
                self._step()
                self.write(section.parts, one)
        elif value:
            self.write(section.parts, as_text(value))

    def _text_of(self, name: str, item: str) -> str:
        return item if name == ITEM else as_text(self.values[name])

    def _add(self, text: str) -> None:
        self.length += len(text)
        if self.length > TEMPLATE_LENGTH:
            raise _too_long(f"more than {TEMPLATE_LENGTH:,} characters.")
        self.texts.append(text)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > MAXIMUM_STEPS:
            raise _too_long(f"more than {MAXIMUM_STEPS:,} parts.")


class _Template:
    """A template as it is read, from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[_Part] = []
        self.names: set[str] = set()
        self._open: list[_Section] = []
        self._place = 0  # what is before it has been read

    def read(self) -> None:
        while (start := self.text.find(OPEN, self._place)) >= 0:
            before, is_escaped = self._unescaped(start)
            if is_escaped:
                self._append(before + OPEN)
                self._place = start + len(OPEN)
            else:
                self._read_tag(before, start)
        self._append(self.text[self._place :])
        if self._open:
            section = self._open[-1]
            raise self._wrong(section.position, f"the section '{section.name}' has no end: {{{{/ {section.name} }}}}.")

    def _unescaped(self, start: int) -> tuple[str, bool]:
        """The text before two braces, each two backslashes at its end made one; whether one more escapes them."""
        before = self.text[self._place : start]
        bare = before.rstrip("\\")
        pairs, single = divmod(len(before) - len(bare), 2)
        return bare + "\\" * pairs, bool(single)

    def _read_tag(self, before: str, start: int) -> None:
        end = self.text.find(CLOSE, start)
        if end < 0:
            raise self._wrong(start, "'{{' without '}}'. For two braces that are no place to fill in, write '\\{{'.")
        inner = self.text[start + len(OPEN) : end].strip()
        sign, name = (inner[0], inner[1:].strip()) if inner[:1] in ("#", "^", "/") else ("", inner)
        if name != ITEM and not NAME.fullmatch(name):
            raise self._wrong(start, f"'{self._shown(inner)}' is no name of a variable. For two braces write '\\{{{{'.")
        end += len(CLOSE)
        if sign and self._is_alone(before, start, end):
            before = before.rstrip(BLANKS)
            end = self._line_end(end)
        self._append(before)
        self._place = end
        self._close(name, start) if sign == "/" else self._add(sign, name, start)

    def _add(self, sign: str, name: str, start: int) -> None:
        if name != ITEM:
            self.names.add(name)
        elif all(section.is_inverted for section in self._open):
            raise self._wrong(start, "'{{ . }}' stands in no section.")
        if not sign:
            self._parts().append(_Place(name))
            return
        if len(self._open) == MAXIMUM_DEPTH:
            raise self._wrong(start, f"more than {MAXIMUM_DEPTH} sections in one another.")
        section = _Section(name, sign == "^", start)
        self._parts().append(section)
        self._open.append(section)

    def _close(self, name: str, start: int) -> None:
        if not self._open:
            raise self._wrong(start, f"there is no section '{name}' to be ended.")
        if name != self._open[-1].name:
            raise self._wrong(start, f"the section '{self._open[-1].name}' has to end before '{name}' does.")
        self._open.pop()

    def _is_alone(self, before: str, start: int, end: int) -> bool:
        """Whether a tag has a line of its own."""
        rest = before.rstrip(BLANKS)
        begins = start - (len(before) - len(rest))
        is_first = begins == 0 or self.text[begins - 1] == "\n"
        following = self._line_end(end)
        return is_first and (following == len(self.text) or self.text[following - 1 : following] == "\n")

    def _line_end(self, place: int) -> int:
        """Behind the blanks after a tag, and behind the end of its line if that comes then."""
        while self.text[place : place + 1] in (" ", "\t"):
            place += 1
        if self.text.startswith("\r\n", place):
            return place + 2
        return place + 1 if self.text.startswith("\n", place) else place

    def _append(self, text: str) -> None:
        if text:
            self._parts().append(text)

    def _parts(self) -> list[_Part]:
        return self._open[-1].parts if self._open else self.parts

    def _shown(self, inner: str) -> str:
        return inner if len(inner) <= SHOWN else f"{inner[:SHOWN]}…"

    def _wrong(self, position: int, problem: str) -> ApiError:
        line = self.text.count("\n", 0, position) + 1
        return ApiError(f"Line {line} of the template: {problem}", param="template", code="invalid_template")


def _read(text: str) -> _Template:
    if len(text) > TEMPLATE_LENGTH or NOT_TEXT.search(text):
        raise ApiError(
            f"Invalid 'template': expected a text of at most {TEMPLATE_LENGTH:,} characters, none of them a NUL.",
            param="template",
            code="invalid_template",
        )
    template = _Template(text)
    template.read()
    return template


def _refuse_unknown(template: _Template, declared: Collection[str]) -> None:
    if unknown := sorted(template.names - set(declared) - BUILT_IN.keys()):
        raise ApiError(
            f"The template names what is no variable of the prompt: {', '.join(repr(name) for name in unknown)}. "
            f"Declare it; without that there are {', '.join(BUILT_IN)}.",
            param="template",
            code="unknown_variable",
        )


def _too_long(what: str) -> ApiError:
    return ApiError(f"Filled in, the prompt has {what}", param="template", code="prompt_too_long")
