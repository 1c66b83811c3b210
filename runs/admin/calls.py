"""A step's tool calls as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse

from runs.admin.readable import readable
from runs.asked import Approval, Entry, State
from runs.models import RunStep, ToolUse
from runs.outcomes import Outcome
from sovereign.core.visible import visible

FOUND_SHOWN = 200  # characters of a passage
APPROVALS = {
    Approval.NEEDED: "waits for approval",
    Approval.GIVEN: "approved",
    Approval.REFUSED: "refused",
}
LABELS = {Outcome.OK: "success", Outcome.ERROR: "danger", Outcome.TIMEOUT: "danger", Outcome.INTERRUPTED: "danger"}


def described_calls(step: RunStep, uses: Mapping[str, ToolUse]) -> list[dict[str, Any]]:
    """``{"name", "kind", "label", "outcome", "notes", "asked", "outputs"}`` of each call, in order.

    ``outputs`` are ``{"text"}``, ``{"image": address}`` or ``{"found": file, "score", "text", "whole"}``.

    :param uses: by the ids of calls, what came of those that were carried out here.
    """
    return [_described(call, step.asked.get(call["id"]), uses.get(call["id"])) for call in step.tool_calls]


def _described(call: dict[str, Any], entry: Entry | None, use: ToolUse | None) -> dict[str, Any]:
    return {
        "name": _name_of(call),
        "kind": use.kind if use else "",
        "outcome": Outcome(use.outcome).label if use else "",
        "label": LABELS.get(Outcome(use.outcome), "warning") if use else "",
        "notes": _notes(call, entry, use),
        "asked": _asked(call, entry or {}),
        "outputs": _outputs(call),
    }


def _name_of(call: dict[str, Any]) -> str:
    return str((call.get("function") or {}).get("name") or call["type"])


def _notes(call: dict[str, Any], entry: Entry | None, use: ToolUse | None) -> list[str]:
    """How it went, in a few words each."""
    if entry is None:
        return ["the application's own"] if "function" in call else []
    notes = [f"{use.milliseconds / 1000:.3f} s"] if use else []
    notes += ["being carried out"] if entry.get("state") == State.STARTED else []
    if approval := entry.get("approval"):
        reason = entry.get("reason")
        notes.append(f"{APPROVALS[approval]}: {reason}" if reason else APPROVALS[approval])
    return notes


def _asked(call: dict[str, Any], entry: Entry) -> str:
    if "code_interpreter" in call:
        return str(call["code_interpreter"].get("input", ""))
    if "function" in call:
        return readable(call["function"].get("arguments") or "")
    return str(entry.get("arguments", {}).get("query", ""))


def _outputs(call: dict[str, Any]) -> list[dict[str, Any]]:
    if "code_interpreter" in call:
        return [_of_code(output) for output in call["code_interpreter"].get("outputs", [])]
    if "file_search" in call:
        found = [_found(result) for result in call["file_search"].get("results", [])]
        return [*found, *({"text": note} for note in [call["file_search"].get("note")] if note)]
    output = (call.get("function") or {}).get("output")
    return [] if output is None else [{"text": readable(output)}]


def _of_code(output: dict[str, Any]) -> dict[str, Any]:
    if output["type"] == "image":
        file_id = output["image"]["file_id"]
        return {"image": reverse("admin:knowledge_file_download", args=[quote(file_id)]), "file": file_id}
    return {"text": str(output.get("logs", ""))}


def _found(result: dict[str, Any]) -> dict[str, Any]:
    text = " ".join(part["text"] for part in result.get("content", []))
    shown, rest = text[:FOUND_SHOWN], text[FOUND_SHOWN:]
    return {
        "found": visible(result["file_name"]),
        "score": f"{result['score']:.2f}",
        "text": visible(shown),
        "whole": visible(text) if rest else "",
    }
