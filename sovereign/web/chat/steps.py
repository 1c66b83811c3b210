"""What the chat shows of the tools that its person's answers were made with, beyond what ``/v1`` tells of a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from runs.models import Feedback, Run, RunStep
from runs.rendering import render_step
from runs.services import approvals, origins
from sovereign.accounts.principals import Principal
from sovereign.web.chat.answers import Asked, json_page

RUNS = 100  # that one request may ask for: a page of messages has no more
STEPS = 400  # the newest of them
SHOWN = 16_384  # characters of each text


@json_page("GET")
def steps(asked: Asked, thread_id: str) -> dict[str, Any]:
    """``?run=…&run=…``: the ended steps of these runs of one of the person's own threads, in order.

    Each is the contract's step, with long texts cut, and ``asked``: what is kept of the calls that were carried out
    here, by their ids (``query`` of a search, ``seconds``, ``outcome``, ``approval``). ``requests`` are the ids of
    the calls that the runs want a person's approval for now, ``ratings`` what the person thinks of those that are over:
    ``{run id: "up", "down" or null}``, with their ``comments``, where they gave any; and ``origins`` what made these
    answers, in words. ``tries`` are the runs before them that they went on with or made anew, by their ids:
    ``{"continues": run id}`` or ``{"retries": run id}``.
    """
    thread = asked.own_thread(thread_id)
    asked_for = asked.request.GET.getlist("run")[:RUNS]
    runs = {run.id: run for run in Run.objects.filter(thread_id=thread.id, pk__in=asked_for)}
    ended = RunStep.objects.filter(run__in=runs).exclude(status=RunStep.StepStatus.IN_PROGRESS)
    newest = list(ended.order_by("-created_at", "-position")[:STEPS])[::-1]
    shown = [_shown(runs[step.run_id], step) for step in sorted(newest, key=lambda step: step.position)]
    requests = [call_id for ids in approvals.pending(runs).values() for call_id in ids]
    over = [run for run in runs.values() if run.is_over]
    opinions = _opinions(asked.principal, over)
    return {"data": shown, "requests": requests, **opinions, **_beside(runs.values(), over)}


def _beside(runs: Iterable[Run], over: Sequence[Run]) -> dict[str, Any]:
    return {"origins": origins.in_words(over), "tries": tries_of(runs)}


def tries_of(runs: Iterable[Run]) -> dict[str, dict[str, str]]:
    """Of each run that goes on with another, or makes its answer anew, which one that is."""
    found = {run.id: {"continues": run.continues, "retries": run.retries} for run in runs}
    told = {run_id: {name: other for name, other in origin.items() if other} for run_id, origin in found.items()}
    return {run_id: origin for run_id, origin in told.items() if origin}


def _opinions(principal: Principal, runs: Iterable[Run]) -> dict[str, dict[str, Any]]:
    """``ratings`` and ``comments`` of the principal."""
    said_of_them = Feedback.objects.standing().filter(run__in=list(runs)).by(principal)
    given = {said.run_id: said for said in said_of_them}
    return {
        "ratings": {run.id: given[run.id].rating if run.id in given else None for run in runs},
        "comments": {run_id: said.comment for run_id, said in given.items() if said.comment},
    }


def _shown(run: Run, step: RunStep) -> dict[str, Any]:
    asked = {call_id: _kept(entry) for call_id, entry in step.asked.items()}
    shown: dict[str, Any] = cut({**render_step(run, step), "asked": asked})
    return shown


def _kept(entry: dict[str, Any]) -> dict[str, Any]:
    query = entry["arguments"].get("query")
    kept = {"query": query if isinstance(query, str) else None}
    kept |= {name: entry.get(name) for name in ("seconds", "outcome", "approval")}
    return {name: value for name, value in kept.items() if value is not None}


def cut(value: Any) -> Any:
    """JSON with its long texts cut, and saying so."""
    if isinstance(value, str):
        return value if len(value) <= SHOWN else f"{value[:SHOWN]}…\n[{len(value) - SHOWN} more characters]"
    if isinstance(value, list):
        return [cut(item) for item in value]
    if isinstance(value, dict):
        return {name: cut(item) for name, item in value.items()}
    return value
