"""Unknown parameters: refused (the contract), or, for old clients, ignored and told in a header.

Serializers are nested and made where they are needed, so that none of them knows where in the body its object stands.
Each notes the object itself; whose paths are asked for, finds the objects in the body again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

HEADER = "x-sovereign-ignored-parameters"
HEADER_LENGTH = 1_000  # characters
SHOWN = 64  # characters of a name, as errors show it
PLAIN = "!#$&'()*+-./:;<=>?@^_`{|}~"  # in a name; a comma is between two of them, and brackets are an index


class Ignored:
    """The unknown parameters that one body had."""

    def __init__(self) -> None:
        # by the object's identity, which is kept alive here; names are keys: a body has room for a hundred thousand
        self._found: dict[int, tuple[Mapping[str, Any], dict[str, None]]] = {}

    def add(self, data: Mapping[str, Any], names: list[str]) -> None:
        _, noted = self._found.setdefault(id(data), (data, {}))
        noted.update(dict.fromkeys(names))

    def header(self, body: Any) -> str:
        """Their paths in ``body``, as the body has them: ``messages[0].foo, bar``; at most ``HEADER_LENGTH`` long.

        What has no room is counted: ``a, b, +17``. Empty where nothing was ignored.
        """
        if not self._found:
            return ""
        rest = sum(len(names) for _, names in self._found.values())
        text = ""
        for path in self._paths(body, ""):
            longer = f"{text}, {path}" if text else path
            if len(longer) > HEADER_LENGTH:
                return f"{text}, +{rest}"
            text, rest = longer, rest - 1
        return text

    def pruned(self, data: Any) -> Any:
        """``data`` without them."""
        if isinstance(data, dict):
            names = self._found.get(id(data), (data, {}))[1]
            return {name: self.pruned(value) for name, value in data.items() if name not in names}
        return [self.pruned(item) for item in data] if isinstance(data, list) else data

    def _paths(self, data: Any, path: str) -> Iterator[str]:
        """Depth first; a body nests at most 100 levels (``core.api.transport``)."""
        for name in self._found.get(id(data), (data, {}))[1]:
            yield f"{path}.{_shown(name)}" if path else _shown(name)
        for step, child in _children(data):
            if isinstance(child, dict | list):
                place = f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" if path else _shown(step)
                yield from self._paths(child, path + place)


def _children(data: Any) -> Iterable[tuple[int | str, Any]]:
    return enumerate(data) if isinstance(data, list) else data.items()


def _shown(name: str) -> str:
    """A name that any header can carry, and that does not look like more than one."""
    return quote(name[:SHOWN], safe=PLAIN, errors="replace")


_ignored: ContextVar[Ignored | None] = ContextVar("ignored", default=None)


@contextmanager
def ignoring() -> Iterator[Ignored]:
    """Within this, serializers ignore what they do not know, and note it."""
    ignored = Ignored()
    token = _ignored.set(ignored)
    try:
        yield ignored
    finally:
        _ignored.reset(token)


def ignore(data: Mapping[str, Any], names: list[str]) -> bool:
    """Whether unknown ``names`` of the object ``data`` are ignored; they are noted then."""
    ignored = _ignored.get()
    if ignored is None:
        return False
    ignored.add(data, names)
    return True


def pruned(data: Any) -> Any:
    """``data``, which was checked, as it was given, without the parameters that are ignored in it."""
    ignored = _ignored.get()
    return data if ignored is None else ignored.pruned(data)
