"""Two runs that answer one question: their answers, what is different about them, and what each took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from assistants.admin.changes import shown
from assistants.differences import ADDED, CHANGED, REMOVED, Change
from inference.admin.usage import money
from inference.models import UsageRecord
from runs.admin.consent import waits_for
from runs.models import Run, RunStep, ToolUse
from runs.services import origins
from runs.services.past import ended_at
from runs.states import Status
from sovereign.accounts.admin.base import page_of
from sovereign.core.comparing import Effort, opcodes, unified
from sovereign.core.visible import visible
from threads.models import Message

TITLES = {"top_p": "Top P", "server_tools": "Tools of the server", "retrieval": "How it searches"}
#: what of a configuration only says where it came from
TOLD = frozenset({"schema_version", "prompts", "own_resources"})
MILLISECOND = timedelta(milliseconds=1)
NONE = "–"
NOTHING: tuple[Any, ...] = (None, "", [], {})  # of a setting; zero is something


def beside(run: Run, other: Run, *, shows_cost: bool) -> dict[str, Any]:
    """``{"sides", "differences", "settings", "figures", "is_over", "question"}`` for the template, which escapes it."""
    words = origins.in_words([run, other])
    said, said_again = _said(run), _said(other)
    first, second = _text(said), _text(said_again)
    effort = Effort()
    both_over = run.is_over and other.is_over
    return {
        "sides": [_side(run, "The run", words, said), _side(other, "Its replay", words, said_again)],
        "differences": shown([_change("Answer", first, second, effort)]) if both_over and first != second else [],
        "settings": shown(list(_settings(run, other, effort))),
        "figures": _figures(run, other, shows_cost),
        "is_over": both_over,
        "question": visible(_question(other)),
    }


def _said(run: Run) -> list[Message]:
    said = Message.objects.of_thread(run.thread_id).filter(run_id=run.pk, role=Message.Role.ASSISTANT)
    return [message for message in said.order_by("position") if message.text]


def _text(said: Sequence[Message]) -> str:
    return "\n\n".join(message.text for message in said)


def _question(replay: Run) -> str:
    asked = Message.objects.of_thread(replay.thread_id).filter(run_id=None, role=Message.Role.USER)
    last = asked.order_by("-position").first()
    return last.text if last is not None else ""


def _side(run: Run, title: str, words: dict[str, str], said: Sequence[Message]) -> dict[str, Any]:
    return {
        "title": title,
        "words": words[run.pk],
        "model": visible(run.model),
        "status": Status(run.status).label,
        "run": run,
        "address": page_of(run),
        "said": said,
        "note": visible(_note(run)),
        "is_bad": run.status in (Status.FAILED, Status.EXPIRED),
        "called": [visible(name) for name in _called(run)],
    }


def _note(run: Run) -> str:
    """Why there is no answer, or not all of it."""
    if run.status == Status.REQUIRES_ACTION:
        return waits_for(run)
    if run.status == Status.QUEUED:
        return run.waiting_reason
    told = run.last_error or run.incomplete_details or {}
    return str(told.get("message") or told.get("reason") or "")


def _called(run: Run) -> Iterator[str]:
    """The tools that were called, in order."""
    for step in RunStep.objects.of_run(run.pk).order_by("position"):
        for call in step.tool_calls:
            yield str((call.get("function") or {}).get("name") or call["type"])


# ------------------------------------------------------------------------------------------------ what is different


def _settings(run: Run, other: Run, effort: Effort) -> Iterator[Change]:
    before, after = run.configuration.data, other.configuration.data
    for name in dict.fromkeys([*before, *after]):
        if name not in TOLD and before.get(name) != after.get(name):
            title = TITLES.get(name, name.replace("_", " ").capitalize())
            yield _change(title, before.get(name), after.get(name), effort)


def _change(title: str, before: Any, after: Any, effort: Effort) -> Change:
    old, new = _lines(before), _lines(after)
    kind = ADDED if before in NOTHING else REMOVED if after in NOTHING else CHANGED
    lines = list(unified(old, new, opcodes(old, new, effort)))
    return Change(field=title, title=title, kind=kind, before=before, after=after, lines=lines)


def _lines(value: Any) -> list[str]:
    """Of what is more than a number or a word, which tell themselves."""
    if isinstance(value, str):
        return value.splitlines()
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines() if isinstance(value, list | dict) else []


# ------------------------------------------------------------------------------------------------ what each took


def _figures(run: Run, other: Run, shows_cost: bool) -> list[dict[str, str]]:
    """``{"title", "first", "second", "change"}``."""
    taken = [_taken(each) for each in (run, other)]
    return [
        {"title": title, "first": _number(a, unit), "second": _number(b, unit), "change": _ratio(a, b)}
        for (title, unit, a), (_, _, b) in zip(*taken, strict=True)
        if shows_cost or unit != "cost"
    ]


def _taken(run: Run) -> list[tuple[str, str, float | None]]:
    calls = list(UsageRecord.objects.filter(run_id=run.pk))
    tools = list(ToolUse.objects.filter(run_id=run.pk).values_list("milliseconds", flat=True))
    firsts = [call.first_token_ms for call in sorted(calls, key=_begun) if call.first_token_ms is not None]
    end = ended_at(run)
    return [
        ("In the queue", "ms", _between(run.created_at, run.started_at)),
        ("First token of the first call", "ms", firsts[0] if firsts else None),
        ("From the start to the end", "ms", _between(run.started_at, end)),
        ("Tools", "ms", sum(tools) if tools else None),
        ("Model calls", "", len(calls) if calls else None),
        ("Tokens of prompts", "", run.prompt_tokens),
        ("of them from the cache", "", run.cached_tokens),
        ("Tokens of the answer", "", run.completion_tokens),
        ("Cost", "cost", sum(call.cost for call in calls) if calls else None),
    ]


def _begun(call: UsageRecord) -> datetime:
    return call.created_at - call.total_ms * MILLISECOND


def _between(begun: datetime | None, ended: datetime | None) -> float | None:
    return None if begun is None or ended is None else max(0.0, (ended - begun) / MILLISECOND)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return NONE
    if unit == "cost":
        return money(round(value))
    return f"{value:,.0f} {unit}".rstrip()


def _ratio(first: float | None, second: float | None) -> str:
    """By how much the second is more or less."""
    if not first or second is None:
        return ""
    percent = round(100 * (second - first) / first)
    return f"{percent:+d} %" if percent else "the same"
