"""The vocabulary: what is sent, what must come back, and how a body's expectations are bound to an operation."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, Flag, auto
from typing import Any

from tests.conformance.matching import Mismatch, require, require_fields
from tests.conformance.reasons import Reason
from tests.conformance.wire import Answer
from tests.conformance.world import World

INVALID_REQUEST = "invalid_request_error"


class Need(Flag):
    """What an expectation cannot be judged without."""

    NOTHING = 0
    ENGINE = auto()  # the scripted engine
    CLOCK = auto()  # an installation of our own, whose rows can be aged


class Side(Enum):
    """Where an expectation stands on the page."""

    TAKES = "taken"
    REFUSES = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that must be so.

    :ivar operation: an ``operationId`` of the published schema, or the name of another section.
    :ivar subject: a parameter as the inventory names it (``tools[].type``); '' is the operation itself.
    :ivar judge: raises ``Mismatch`` where it is not so.
    :ivar shown_by: a test that shows what cannot be provoked over HTTP, as pytest names it; nothing is judged here.
    :ivar reason: why it differs from the original service on purpose, or is not supported; it is verified all the same.
    """

    operation: str
    subject: str
    label: str
    judge: Callable[[World], None]
    side: Side = Side.TAKES
    reason: Reason | None = None
    needs: Need = Need.NOTHING
    shown_by: str = ""

    @property
    def error(self) -> str:
        """The error of the contract that it is about: ``E10``, or ''."""
        found = re.search(r"\((E\d+)\)$", self.label)
        return found[1] if found else ""


# -------------------------------------------------------------------------------------------------- refusals


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the contract; ``{param}`` in the message is where it happened.

    :ivar at: the path of that place below the object that was sent; ``None`` for an error without one.
    """

    code: str | None
    message: str
    at: str | None = None
    status: int = 400
    type: str = INVALID_REQUEST
    name: str = ""  # E20 and so on
    fixed: bool = False  # ``at`` is no path in the body

    def verify(self, answer: Answer, mount: str = "") -> None:
        param = None if self.at is None else self.at if self.fixed else join(mount, self.at)
        expected = {
            "error": {
                "message": self.message.replace("{param}", param or ""),
                "type": self.type,
                "param": param,
                "code": self.code,
            }
        }
        if answer.status != self.status:
            raise Mismatch(f"expected {self.status}, got {answer.status} {_said(answer.body)}")
        require(expected, answer.body, "the error")


def _said(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error["message"])[:160] if isinstance(error, dict) and "message" in error else ""


def wrong_type(at: str, expected: str, got: str) -> Refusal:
    message = f"Invalid type for '{{param}}': expected {expected}, but got {got} instead."
    return Refusal("invalid_type", message, at, name="E20")


def unknown(at: str) -> Refusal:
    return Refusal("unknown_parameter", "Unknown parameter: '{param}'.", at, name="E21")


def missing(at: str) -> Refusal:
    return Refusal("missing_required_parameter", "Missing required parameter: '{param}'.", at, name="E22")


def too_long(at: str, limit: int, length: int) -> Refusal:
    message = (
        f"Invalid '{{param}}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead."
    )
    return Refusal("string_above_max_length", message, at, name="E23")


def too_many(at: str, limit: int, length: int) -> Refusal:
    message = (
        f"Invalid '{{param}}': array too long. Expected an array with maximum length {limit}, "
        f"but got an array with length {length} instead."
    )
    return Refusal("array_above_max_length", message, at, name="E24")


def too_few(at: str, limit: int, length: int) -> Refusal:
    message = (
        f"Invalid '{{param}}': array too short. Expected an array with minimum length {limit}, "
        f"but got an array with length {length} instead."
    )
    return Refusal("array_below_min_length", message, at, name="E24")


def below(at: str, limit: int, value: float, kind: str = "integer") -> Refusal:
    message = f"Invalid '{{param}}': {kind} below minimum value. Expected a value >= {limit}, but got {value} instead."
    return Refusal(f"{kind}_below_min_value", message, at, name="E26")


def above(at: str, limit: int, value: float, kind: str = "integer") -> Refusal:
    message = f"Invalid '{{param}}': {kind} above maximum value. Expected a value <= {limit}, but got {value} instead."
    return Refusal(f"{kind}_above_max_value", message, at, name="E26")


def not_one_of(at: str, value: str, choices: Iterable[str]) -> Refusal:
    quoted = [f"'{choice}'" for choice in choices]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    return Refusal("invalid_value", f"Invalid value: '{value}'. Supported values are: {listed}.", at, name="E27")


def not_found(kind: str, identifier: str, name: str = "E5") -> Refusal:
    return Refusal(None, f"No {kind} found with id '{identifier}'.", status=404, name=name)


# ---------------------------------------------------------------------------------------- bodies, piece by piece

OMIT: Any = object()  # as a value: the key is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is put into an object that is sent, and what comes of it.

    :ivar subject: the parameter it is about, below the object.
    :ivar sends: keys to replace in the smallest possible object; ``OMIT`` takes one away.
    :ivar shows: what the object then shows under these keys; ``None`` where it is refused.
    """

    subject: str
    label: str
    sends: Mapping[str, Any]
    shows: Mapping[str, Any] | None = None
    refusal: Refusal | None = None
    reason: Reason | None = None


def takes(subject: str, label: str, sends: Mapping[str, Any], shows: Mapping[str, Any] | None = None) -> Check:
    """Taken, and shown as it was sent unless ``shows`` says otherwise."""
    return Check(subject=subject, label=label, sends=sends, shows=sends if shows is None else shows)


def refuses(subject: str, label: str, sends: Mapping[str, Any], refusal: Refusal) -> Check:
    return Check(subject=subject, label=label, sends=sends, refusal=refusal)


def because(reason: Reason, *checks: Check) -> list[Check]:
    """These are so for a reason: they differ from the original, or are not supported."""
    return [replace(check, reason=reason) for check in checks]


def leaving(checks: Iterable[Check], *subjects: str) -> list[Check]:
    """Without those about the given subjects, and what is below them."""

    def is_left(subject: str) -> bool:
        return any(subject == left or subject.startswith((f"{left}.", f"{left}[")) for left in subjects)

    return [check for check in checks if not is_left(check.subject)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an object is sent to.

    :ivar mount: the place of the object in the body, '' where it is the body: ``thread.messages[0]``.
    :ivar base: the smallest object that is taken.
    :ivar send: sends a whole body; the flag says that it will be refused, so that nothing fresh is needed for it.
    :ivar show: the object as the API shows it after that answer.
    :ivar around: the smallest body that the object is mounted in.
    """

    operation: str
    base: Callable[[World], dict[str, Any]]
    send: Callable[[World, dict[str, Any], bool], Answer]
    show: Callable[[World, Any], Any]
    mount: str = ""
    around: Callable[[World], dict[str, Any]] = lambda world: {}
    needs: Need = Need.NOTHING


def bind(target: Target, checks: Iterable[Check]) -> Iterator[Expectation]:
    """The expectations of an object at one of the places where it may be sent."""
    for check in checks:
        yield Expectation(
            operation=target.operation,
            subject=join(re.sub(r"\[\d+\]", "[]", target.mount), check.subject).removesuffix("[]"),
            label=_label(check),
            judge=_judge(target, check),
            side=Side.TAKES if check.refusal is None else Side.REFUSES,
            reason=check.reason,
            needs=target.needs,
        )


def _label(check: Check) -> str:
    name = check.refusal.name if check.refusal else ""
    return f"{check.label} ({name})" if name else check.label


def _judge(target: Target, check: Check) -> Callable[[World], None]:
    def judge(world: World) -> None:
        sends = world.named(check.sends)
        sent = {name: value for name, value in {**target.base(world), **sends}.items() if value is not OMIT}
        answer = target.send(world, put(target.around(world), target.mount, sent), check.refusal is not None)
        if check.refusal is not None:
            check.refusal.verify(answer, target.mount)
            return
        if answer.status != 200:
            raise Mismatch(f"expected 200, got {answer.status} {_said(answer.body)}")
        assert check.shows is not None
        if check.shows:
            require_fields(world.named(check.shows), target.show(world, answer.body))

    return judge


def join(mount: str, path: str) -> str:
    return f"{mount}.{path}" if mount and path else mount or path


def put(body: dict[str, Any], mount: str, sent: dict[str, Any]) -> dict[str, Any]:
    """``body`` with an object at a place like ``thread.messages[0]``."""
    if not mount:
        return {**body, **sent}
    whole = copy.deepcopy(body)
    place: Any = whole
    keys: list[Any] = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", mount)]
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        fill: Any = sent if following is None else [] if isinstance(following, int) else {}
        if isinstance(place, list):
            place.append(fill)
        elif key not in place or following is None:
            place[key] = fill
        place = place[key]
    return whole
