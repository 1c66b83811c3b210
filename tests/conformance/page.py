"""The results as a page: docs/conformance.md. The same results give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from tests.conformance.expectations import Side
from tests.conformance.inventory import Operation, operations
from tests.conformance.judging import Result, Verdict
from tests.conformance.reasons import REASONS
from tests.conformance.suite import errors, streams, transport

VERSION = 1  # of the expectations: raised when what is expected changes, not when more is
PUBLISHED = "`openai/openai-openapi`, commit f85dbe2 of 2026-08-21"
HEAD = """\
# Conformance

Written by `manage.py conformance`; do not edit it. Every line was judged over HTTP, by what was sent and what came
back; only what nobody can bring about from outside is *shown by a test*, which is named.

* judged: {judged}
* by: {count} expectations (version {version}), for every operation and parameter of the published schema
  ({published}), and for what was recorded of the original service

*differs*: done otherwise on purpose, and verified to differ in exactly that way. *in part*: taken, but some of it is
refused. *not supported*: refused with an error that says so, which is verified too. Why: [reasons](#reasons)."""
STREAMS = """\
Common prefixes are left out; `{…}` are several events, `+` is one or more, and `→ … →` stands between two streams.
Each is read as strictly as the strictest client would: ids once, empty `created` objects, and so on.
"""
RECORDINGS = """\
## Recordings

Exchanges that were recorded with the original service are replayed as well; the figure is in the README. Three of them
list the files of a vector store right after putting them there. In two of them all files are `completed`, in one the
second and the third of five: so far the original had got while requests crossed a network. Replayed, they follow each
other within 10 ms. Here who asks about a file that was put into a store less than two seconds ago is answered when it
is done, or after half a second: the two are met where the machine reads a few words in that time, as it does within
40 ms unless others take its cores. Two of five is chance."""


class State(Enum):
    """What a row comes to."""

    PASSED = "passed"
    DIFFERS = "differs"
    PARTLY = "in part"
    UNSUPPORTED = "not supported"
    ELSEWHERE = "shown by a test"
    UNJUDGED = "not judged"
    FAILED = "**not as expected**"
    HOLE = "**no expectation**"


@dataclass(slots=True)
class Row:
    """Everything that is expected of one subject."""

    subject: str
    results: list[Result] = field(default_factory=list)

    @property
    def state(self) -> State:
        verdicts = {result.verdict for result in self.results}
        if not verdicts:
            return State.HOLE
        if Verdict.FAILED in verdicts:
            return State.FAILED
        if Verdict.UNSUPPORTED in verdicts:
            return State.PARTLY if self._is_taken() else State.UNSUPPORTED
        if Verdict.DIFFERS in verdicts:
            return State.DIFFERS
        for verdict, state in ((Verdict.PASSED, State.PASSED), (Verdict.SHOWN, State.ELSEWHERE)):
            if verdict in verdicts:
                return state
        return State.UNJUDGED

    def _is_taken(self) -> bool:
        return any(
            result.verdict in (Verdict.PASSED, Verdict.DIFFERS) and result.expectation.side is Side.TAKES
            for result in self.results
        )

    def labels(self, side: Side) -> str:
        """What is expected on one side of the table, each once; an unsupported thing stands where it is refused."""
        found = dict.fromkeys(
            _escaped(result.expectation.label) for result in self.results if result.expectation.side is side
        )
        return "; ".join(label for label in found if label)

    def judged(self) -> str:
        """The last cell: the state, and why."""
        reasons = dict.fromkeys(one.expectation.reason.link for one in self.results if one.expectation.reason)
        shown = dict.fromkeys(f"`{one.expectation.shown_by}`" for one in self.results if one.expectation.shown_by)
        why = ", ".join([*reasons, *shown])
        left = sum(result.verdict is Verdict.UNJUDGED for result in self.results)
        if left and self.state is not State.UNJUDGED:
            why = f"{why}{', ' if why else ''}{left} not judged"
        if self.state is State.UNJUDGED:
            why = self.results[0].why
        return f"{self.state.value}{': ' if why else ''}{why}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def rows_of(results: Iterable[Result], operation: str, subjects: Iterable[str] = ()) -> list[Row]:
    """One row for each of ``subjects``, then for every other subject there are results of."""
    rows = {subject: Row(subject) for subject in subjects}
    for result in results:
        if result.expectation.operation == operation:
            subject = result.expectation.subject
            rows.setdefault(subject, Row(subject)).results.append(result)
    return list(rows.values())


def render(results: list[Result], judged: str) -> str:
    """The whole page.

    :param judged: what was judged, for its first paragraph.
    """
    by_operation = {one: rows_of(results, one.id, ["", *one.subjects()]) for one in operations()}
    head = HEAD.format(judged=judged, count=len(results), version=VERSION, published=PUBLISHED)
    lines = [head, *_summary(results, by_operation)]
    lines += _failures(results)
    lines += _overview(by_operation)
    lines += ["## Streams", "", *_streams(results), "", "## Transport", "", *_transport(results), ""]
    lines += ["## Errors", "", *_errors(results), "", "## Reasons", "", *_reasons(results)]
    lines += ["", RECORDINGS, "", "## Parameters"]
    room = ""
    for operation, rows in by_operation.items():
        if operation.tag != room:
            room = operation.tag
            lines += ["", f"### {room}"]
        lines += ["", *_operation(operation, rows)]
    return "\n".join(lines) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = list(head)
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _summary(results: list[Result], by_operation: dict[Operation, list[Row]]) -> Iterator[str]:
    parameters = [
        row for operation, rows in by_operation.items() for row in rows if row.subject in operation.subjects()
    ]
    counted = {
        "operations": [rows[0] for rows in by_operation.values()],
        "parameters": parameters,
        "streams": rows_of(results, streams.SECTION),
        "transport": rows_of(results, transport.SECTION),
    }
    counts = {name: Counter(row.state for row in rows) for name, rows in counted.items()}
    counts["errors"] = Counter(_state_of(row) for row in _error_rows(results))
    states = [state for state in State if any(found[state] for found in counts.values())]
    cells = [
        [name, *(str(found[state]) if found[state] else "·" for state in states), str(sum(found.values()))]
        for name, found in counts.items()
    ]
    yield ""
    yield from _table(["", *(state.value for state in states), "in all"], cells)


def _failures(results: list[Result]) -> Iterator[str]:
    failed = [result for result in results if result.verdict is Verdict.FAILED]
    if failed:
        cells = [
            [f"{one.expectation.operation} {one.expectation.subject}", one.expectation.label, one.why] for one in failed
        ]
        yield from ["", "## Not as expected", ""]
        yield from _table(["where", "expected", "found"], [[_escaped(cell) for cell in row] for row in cells])


def _overview(by_operation: dict[Operation, list[Row]]) -> Iterator[str]:
    yield from ["", "## Operations", ""]
    cells = []
    for operation, (own, *parameters) in by_operation.items():
        counts = Counter(row.state for row in parameters)
        told = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
        link = f"[{operation.id}](#{operation.id.lower()})"
        cells.append([link, f"`{operation.method} {operation.path}`", own.judged(), told])
    yield from _table(["operation", "", "judged", "parameters"], cells)
    yield ""


def _operation(operation: Operation, rows: list[Row]) -> Iterator[str]:
    yield from [f"#### {operation.id}", "", f"`{operation.method} {operation.path}`", ""]
    cells = [
        [
            f"`{row.subject}`" if row.subject else "*the operation*",
            row.labels(Side.TAKES),
            row.labels(Side.REFUSES),
            row.judged(),
        ]
        for row in rows
    ]
    yield from _table(["parameter", "taken", "refused", "judged"], cells)


def _streams(results: list[Result]) -> Iterator[str]:
    yield STREAMS
    cells = [[row.subject, f"`{row.labels(Side.TAKES)}`", row.judged()] for row in rows_of(results, streams.SECTION)]
    yield from _table(["stream", "events", "judged"], cells)


def _transport(results: list[Result]) -> Iterator[str]:
    cells = [
        [row.subject, "; ".join(filter(None, (row.labels(side) for side in Side))), row.judged()]
        for row in rows_of(results, transport.SECTION)
    ]
    yield from _table(["", "expected", "judged"], cells)


def _error_rows(results: list[Result]) -> list[Row]:
    return [Row(name, [one for one in results if one.expectation.error == name]) for name in errors.ERRORS]


def _state_of(row: Row) -> State:
    """An error's own: that it stands where something is not supported is no fault of it."""
    if row.state in (State.FAILED, State.HOLE, State.UNJUDGED):
        return row.state
    return State.DIFFERS if row.subject in errors.REASONS else State.PASSED


def _errors(results: list[Result]) -> Iterator[str]:
    cells = []
    for row in _error_rows(results):
        status, sentence = errors.ERRORS[row.subject]
        state, why = _state_of(row), errors.REASONS.get(row.subject)
        judged = f"{state.value}: {why.link}" if why and state is State.DIFFERS else state.value
        cells.append([row.subject, str(status), f"`{sentence}`", str(len(row.results)), judged])
    yield from _table(["", "status", "sentence", "expectations", "judged"], cells)


def _reasons(results: list[Result]) -> Iterator[str]:
    used = {result.expectation.reason for result in results if result.expectation.reason}
    for title, supported in (("Differs", True), ("Not supported", False)):
        for reason in REASONS:
            if reason in used and reason.supported is supported:
                yield f'- <a id="{reason.key}"></a>**{reason.key}** ({title.lower()}): {reason.text}'
