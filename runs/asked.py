"""What a step keeps of the calls that are carried out here (``RunStep.asked``): an entry for each, by the call's id.

An entry is JSON: ``tool`` (the name that the model called), ``identity`` (of the tool that had this name then),
``arguments`` (as its tool keeps them), ``state``, and where they apply ``seconds`` (that it took), ``outcome`` (one of
:mod:`runs.outcomes`), ``approval``, ``request`` (what a person is asked), ``reason`` (why it was refused),
``beforehand`` (nobody called the tool: it was used before the model was asked) and ``kept`` (what its tool keeps of it
that no client sees). Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

Entry = dict[str, Any]
BEFOREHAND = "beforehand"
MOST_CALLS = 128  # that a model may make in one turn: no client could answer more
KEPT = "kept"  # also of a call, while it is carried out or told


class State(StrEnum):
    ASKED = "asked"
    STARTED = "started"
    DONE = "done"


class Approval(StrEnum):
    NEEDED = "needed"
    GIVEN = "given"
    REFUSED = "refused"


def entry(
    tool: str, arguments: dict[str, Any], *, kind: str, identity: str, request: dict[str, Any] | None = None
) -> Entry:
    """A call that the model made.

    :param request: what a person is asked before it is carried out, where one is.
    """
    made: Entry = {"tool": tool, "kind": kind, "identity": identity, "arguments": arguments, "state": State.ASKED}
    return made if request is None else {**made, "approval": Approval.NEEDED, "request": request}


def is_done(entry: Entry) -> bool:
    return bool(entry["state"] == State.DONE)


def is_settled(entry: Entry | None) -> bool:
    """Whether nothing happens here to a call: it is the client's, or done, or waits for somebody."""
    return entry is None or not is_due(entry)


def with_kept(call: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """A call with what its tool kept of it."""
    return {**call, KEPT: entry[KEPT]} if KEPT in entry else call


def needs_approval(entry: Entry) -> bool:
    return entry.get("approval") == Approval.NEEDED


def is_due(entry: Entry) -> bool:
    """Whether it can be carried out now."""
    return not is_done(entry) and not needs_approval(entry)


def waiting(calls: list[dict[str, Any]], asked: Mapping[str, Entry]) -> Iterator[dict[str, Any]]:
    """Of a step's calls those that a client has to answer: the application's own, and requests for approval."""
    for call in calls:
        entry = asked.get(call["id"])
        if needs_approval(entry) if entry else call["type"] == "function" and call["function"]["output"] is None:
            yield call
