"""From events to content: one pure function for the worker, the reaper and the replay."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

from runs import events
from runs.citations import settled


class Event(Protocol):
    type: str
    data: dict[str, Any]


class Folded:
    """What a run has written so far: message content and tool calls, by id, in the contract's shapes."""

    def __init__(self) -> None:
        self.content: dict[str, list[dict[str, Any]]] = {}
        self.tool_calls: dict[str, list[dict[str, Any]]] = {}
        self.pieces: Counter[str] = Counter()  # of the model's output, by message or step: about as many as tokens

    def annotations_of(self, message_id: str) -> list[dict[str, Any]]:
        parts = self.content.get(message_id, [])
        return [annotation for part in parts if part["type"] == "text" for annotation in part["text"]["annotations"]]

    def parts_before_text(self, message_id: str) -> int:
        return sum(part["type"] != "text" for part in self.content.get(message_id, []))

    def text_of(self, message_id: str) -> str:
        parts = self.content.get(message_id, [])
        return "".join(part["text"]["value"] for part in parts if part["type"] == "text")


def fold(log: Iterable[Event]) -> Folded:
    """Apply a run's events in order. A completed object replaces what its deltas had built."""
    folded = Folded()
    for event in log:
        if event.type in (events.MESSAGE_DELTA, events.STEP_DELTA):
            folded.pieces[event.data["id"]] += event.data.get("pieces", 1)
        match event.type:
            case events.MESSAGE_DELTA:
                _merge_content(folded.content.setdefault(event.data["id"], []), event.data["content"])
            case events.STEP_DELTA:
                _merge_calls(folded.tool_calls.setdefault(event.data["id"], []), event.data["tool_calls"])
            case events.MESSAGE_CREATED | events.MESSAGE_COMPLETED | events.MESSAGE_INCOMPLETE:
                folded.content[event.data["id"]] = copy.deepcopy(event.data["content"])
            case _ if event.type.startswith(events.STEP_PREFIX) and "tool_calls" in event.data["step_details"]:
                folded.tool_calls[event.data["id"]] = copy.deepcopy(event.data["step_details"]["tool_calls"])
    return folded


def _merge_content(parts: list[dict[str, Any]], deltas: list[dict[str, Any]]) -> None:
    for delta in deltas:
        if delta["index"] == len(parts):
            part = {key: copy.deepcopy(value) for key, value in delta.items() if key != "index"}
            if "text" in part:
                part["text"]["annotations"] = _annotations(delta)
            parts.append(part)
        elif delta["type"] == "text":
            text = parts[delta["index"]]["text"]
            text["value"] += delta["text"].get("value", "")
            text["annotations"] += _annotations(delta)


def _annotations(delta: dict[str, Any]) -> list[dict[str, Any]]:
    return [settled(annotation) for annotation in delta["text"].get("annotations", [])]


def _merge_calls(calls: list[dict[str, Any]], deltas: list[dict[str, Any]]) -> None:
    for delta in deltas:
        if delta["index"] == len(calls):
            calls.append({key: copy.deepcopy(value) for key, value in delta.items() if key != "index"})
        else:
            _merge_work(calls[delta["index"]][delta["type"]], delta[delta["type"]])


def _merge_work(work: dict[str, Any], added: dict[str, Any]) -> None:
    """What is written of a call goes on (``arguments``, ``input``), and so do the logs among its ``outputs``."""
    for field, value in added.items():
        if isinstance(value, str):
            work[field] += value
            continue
        for output in value:
            if output["index"] == len(work[field]):
                work[field].append({key: copy.deepcopy(part) for key, part in output.items() if key != "index"})
            else:
                work[field][output["index"]]["logs"] += output["logs"]
