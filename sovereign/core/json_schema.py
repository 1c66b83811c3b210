"""JSON Schema (draft 2020-12) that strangers wrote: checked in bounded time, without a look at any other document.

Regular expressions are not applied, for one that takes for ever would stop a whole process: ``pattern`` and
``patternProperties`` are told to models, and accept everything here. Where ``patternProperties`` stand,
``additionalProperties`` accept everything too; ``unevaluatedProperties`` and ``unevaluatedItems`` always do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any

import orjson

MAXIMUM_BYTES = 64 * 1024  # of a schema as JSON
MAXIMUM_DEPTH = 32
MAXIMUM_STEPS = 50_000  # keywords that are looked at for one value
STEPS_OF_COMPLAINT = 5  # that one counts for on each level: it may be kept, with all that it names, to the end
MAXIMUM_READ = 500_000  # values that the keywords read for it, one after the other …
LENGTH_READ = 256  # … where so many characters of a text count like a value
MAXIMUM_NESTED = 100  # keywords inside of keywords: where Python's own limit is met, the registry of references panics
MOST_UNIQUE = 1_000  # items that are compared: numbers can be chosen that sets are slow with
SHOWN = 200  # characters of a complaint
UNASKED = ("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems")
#: what they say is compared, or told in a complaint, as a whole
READ_WHOLE = ("const", "dependentRequired", "enum", "not", "oneOf")
#: what is raised by following a reference or an address that is malformed
NO_SCHEMA = (ValueError, TypeError, AttributeError, LookupError)
Keyword = Callable[[Any, Any, Any, Any], Any]  # validator, what the keyword says, value, schema → errors
_work: ContextVar[_Work] = ContextVar("work")


class SchemaProblem(ValueError):
    """One sentence for people."""


class _TooMuch(Exception):
    pass


class _Work:
    """What the check of one value has done so far.

    A step may read the whole value and all that its keyword says, if only to complain of it. So steps alone bound
    nothing: what they read is counted with them.
    """

    steps = nested = read = 0

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}  # by the ids of what lives as long as the check

    def begin(self, read: int) -> None:
        self.nested += 1
        self.read += read
        if self.nested > MAXIMUM_NESTED or self.read > MAXIMUM_READ:
            raise _TooMuch
        self.take(1)

    def take(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAXIMUM_STEPS:
            raise _TooMuch

    def end(self) -> None:
        self.nested -= 1

    def size(self, data: Any) -> int:
        """Values in the data, texts by their length."""
        if isinstance(data, str):
            return 1 + len(data) // LENGTH_READ
        if not isinstance(data, dict | list):
            return 1
        if id(data) not in self._sizes:
            names = data if isinstance(data, dict) else ()
            self._sizes[id(data)] = 1 + sum(map(self.size, names)) + sum(map(self.size, _inside(data)))
        return self._sizes[id(data)]


def check_schema(schema: dict[str, Any]) -> None:
    """:raises SchemaProblem: it is no schema, too large, too deep, or refers to what is not in it."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    check_size(schema, maximum=MAXIMUM_BYTES)
    usual = Draft202012Validator
    validator = _changed({"uniqueItems": _unique})
    try:
        error = best_match(validator(usual.META_SCHEMA, format_checker=usual.FORMAT_CHECKER).iter_errors(schema))
    except (RecursionError, OverflowError):  # a regular expression of a thousand brackets, or a billion repetitions
        raise SchemaProblem("The schema is too involved.") from None
    if error is not None:
        raise SchemaProblem(_sentence(error))
    _check_references(schema)


def check_value(value: Any, schema: dict[str, Any]) -> None:
    """:raises SchemaProblem: the value breaks the schema, or to find that out would take too long."""
    from jsonschema.exceptions import UnknownType, best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    _work.set(_Work())
    try:
        # a registry of its own: the usual one fetches whatever a reference names
        error = best_match(_bounded_validator()(schema, registry=Registry()).iter_errors(value))
    except Unresolvable:
        raise SchemaProblem("The schema refers to something that is not in it.") from None
    except (_TooMuch, RecursionError):
        raise SchemaProblem("The schema is too involved to check this value.") from None
    except (UnknownType, *NO_SCHEMA):  # a reference led to what only looks like a schema
        raise SchemaProblem("The schema is none that a value could be checked against.") from None
    if error is not None:
        raise SchemaProblem(_sentence(error))


def check_size(data: Any, *, maximum: int) -> None:
    """:raises SchemaProblem: JSON of more than ``maximum`` bytes, or too deep."""
    waiting, deep = [data], 0
    while waiting:
        deep += 1
        if deep > MAXIMUM_DEPTH:
            raise SchemaProblem(f"It is nested more than {MAXIMUM_DEPTH} levels deep.")
        waiting = [inner for outer in waiting for inner in _inside(outer)]
    try:
        size = len(orjson.dumps(data))
    except (TypeError, ValueError):
        raise SchemaProblem("It is not JSON.") from None
    if size > maximum:
        raise SchemaProblem(f"It is {size:,} bytes long; at most {maximum:,} are kept.")


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _sentence(error: Any) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".")
    message = _shortened(error.message)
    return f"At '{where[:SHOWN]}': {message}" if where else message


def _shortened(message: str) -> str:
    return message if len(message) <= SHOWN else f"{message[: SHOWN - 1]}…"


def _check_references(schema: dict[str, Any]) -> None:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        waiting += _inside(part)
        for keyword in ("$ref", "$dynamicRef"):
            reference = part.get(keyword) if isinstance(part, dict) else None
            if not isinstance(reference, str):
                continue
            if not reference.startswith("#"):
                raise SchemaProblem(f"'{reference[:SHOWN]}' is outside of the schema: references begin with '#'.")
            try:
                target = resolver.lookup(reference).contents
            except (Unresolvable, *NO_SCHEMA):
                raise SchemaProblem(f"'{reference[:SHOWN]}' is not in the schema.") from None
            if not isinstance(target, dict | bool):
                raise SchemaProblem(f"'{reference[:SHOWN]}' is no schema.")


@functools.cache
def _bounded_validator() -> Any:
    from jsonschema import Draft202012Validator

    usual: dict[str, Keyword] = dict(Draft202012Validator.VALIDATORS)
    changed = {
        **dict.fromkeys(UNASKED, _accept),
        "additionalProperties": _unless(lambda _, schema: "patternProperties" in schema, usual["additionalProperties"]),
        "uniqueItems": _unique,
    }
    return _changed({name: _counted(name, check) for name, check in {**usual, **changed}.items()})


def _changed(keywords: dict[str, Keyword]) -> Any:
    """The usual validator with other checks, which no part of a schema leaves by naming a ``$schema`` of its own."""
    import attrs
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    changed = extend(Draft202012Validator, keywords)
    changed.evolve = attrs.evolve
    return changed


def _accept(validator: Any, asked: Any, value: Any, schema: Any) -> Iterator[Any]:
    return iter(())


def _unless(condition: Callable[[Any, Any], bool], check: Keyword) -> Keyword:
    def conditional(validator: Any, asked: Any, value: Any, schema: Any) -> Iterator[Any]:
        if not condition(value, schema):
            yield from check(validator, asked, value, schema) or ()

    return conditional


def _unique(validator: Any, asked: Any, value: Any, schema: Any) -> Iterator[Any]:
    """``uniqueItems``, in one pass: the usual check compares each item with each."""
    from jsonschema.exceptions import ValidationError

    if asked and isinstance(value, list) and len(value) <= MOST_UNIQUE and len(set(map(_key, value))) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def _key(value: Any) -> Hashable:
    """Equal for what JSON Schema calls equal: 1 is 1.0, and neither is true."""
    if isinstance(value, dict):
        return frozenset((name, _key(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return tuple(map(_key, value))
    return (bool, value) if isinstance(value, bool) else value


def _counted(name: str, check: Keyword) -> Keyword:
    def counted(validator: Any, asked: Any, value: Any, schema: Any) -> Iterator[Any]:
        work = _work.get()
        said = work.size(asked) if name in READ_WHOLE else len(asked) if isinstance(asked, dict | list) else 1
        work.begin(said + work.size(value))
        try:
            for error in check(validator, asked, value, schema) or ():
                work.take(STEPS_OF_COMPLAINT)
                error.message = _shortened(error.message)
                error.args = (error.message,)  # which held the long one, too
                yield error
        finally:
            work.end()

    return counted
