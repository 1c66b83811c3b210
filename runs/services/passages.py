"""The passage of a file that a citation refers to, as the search found it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from runs.models import RunStep
from runs.tools.file_search import results_of
from threads import answers
from threads.models import Message

MARK = re.compile(r"【(\d{1,6}):(\d{1,6})†.*】", re.DOTALL)  # the step's position in its run, the result's in its step


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a file, as it was when it was found."""

    file_id: str
    name: str
    text: str


def passage_of(message: Message, annotation: int) -> Passage | None:
    """What one of an answer's annotations cites; ``None`` where it cites nothing, or what was found is not kept.

    :param message: the answer, or its last part.
    :param annotation: which of them, among those of all texts of all parts of the answer, from 0.
    """
    for part in answers.parts_of(message):
        cited = _annotations(part)
        if annotation < len(cited):
            return _cited(cited[annotation], _as_written(part))
        annotation -= len(cited)
    return None


def _cited(annotation: dict[str, Any], written: Message | None) -> Passage | None:
    file_id = (annotation.get("file_citation") or {}).get("file_id")
    mark = MARK.fullmatch(annotation.get("text") or "")
    if written is None or file_id is None or mark is None:
        return None
    result = _result(written, position=int(mark[1]), index=int(mark[2]))
    if result is None or result["file_id"] != file_id:
        return None
    text = "\n".join(part["text"] for part in result.get("content") or ())
    return Passage(file_id, result["file_name"], text) if text else None


def _as_written(message: Message) -> Message | None:
    """The message that a run has written: itself, or the one that it repeats on a thread of its own."""
    if message.run_id is not None or message.copied_from is None:
        return message if message.run_id is not None else None
    there = Message.objects.filter(project_id=message.project_id, thread__trashed_at=None, run_id__isnull=False)
    found: Message | None = there.filter(pk=message.copied_from).first()
    return found


def _annotations(message: Message) -> list[dict[str, Any]]:
    texts = [part["text"] for part in message.content if part["type"] == "text"]
    return [annotation for text in texts for annotation in text.get("annotations") or ()]


def _result(message: Message, *, position: int, index: int) -> dict[str, Any] | None:
    steps = RunStep.objects.filter(run_id=message.run_id, run__thread_id=message.thread_id, position=position)
    step = steps.first()
    calls = (step.step_details or {}).get("tool_calls") or () if step is not None else ()
    found = results_of(calls)
    return found[index] if index < len(found) else None
