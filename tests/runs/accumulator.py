"""A reader of one HTTP stream that is as strict as the strictest client, and stricter (the contract's 9.8, a to h)."""

from __future__ import annotations

from typing import Any

RUN_STATUSES = {
    "created": "queued",
    **{
        name: name
        for name in (
            "queued",
            "in_progress",
            "requires_action",
            "completed",
            "incomplete",
            "failed",
            "cancelling",
            "cancelled",
            "expired",
        )
    },
}
RESTING = {"requires_action", "completed", "incomplete", "failed", "cancelled", "expired"}


class Accumulator:
    """Adds a stream up as the SDKs do; ``AssertionError`` where one of them would fail or show nonsense."""

    def __init__(self) -> None:
        self.names: list[str] = []  # without the common prefix; neighbouring deltas as one
        self.texts: dict[str, str] = {}
        self.calls: dict[str, list[dict[str, str]]] = {}  # by step: [{"id", "name", "arguments"}]
        self.last_run: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        self._announced: set[str] = set()  # messages whose step was created
        self._active: str | None = None  # the one open message
        self._parts: list[dict[str, Any]] = []
        self._steps: dict[str, str] = {}  # status by id
        self._over = False

    def read(self, stream: list[tuple[int | None, str, Any]]) -> Accumulator:
        """Take ``(id, event, data)`` in order, up to and with ``done``."""
        numbers = [number for number, event, _ in stream if event.startswith("thread.")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        for number, event, data in stream:
            self._take(number, event, data)
        assert self.names[-1] == "done"
        assert self._active is None or self.error, "a message was left open"
        return self

    def _take(self, number: int | None, event: str, data: Any) -> None:
        assert not self._over, f"{event} after done"
        name = event.removeprefix("thread.")
        if not (name.endswith("delta") and self.names and self.names[-1] == name):
            self.names.append(name)
        if event == "done":
            self._over = True
            assert (number, data) == (None, "[DONE]")
            assert self.error or self.last_run["status"] in RESTING
        elif event == "error":
            assert set(data) == {"error"}
            assert set(data["error"]) == {"message", "type", "param", "code"}
            self.error = data["error"]
        else:
            assert self.last_run.get("status") not in RESTING, f"{event} after the run rested"
            assert isinstance(number, int)
            self._take_object(name, data)

    def _take_object(self, name: str, data: dict[str, Any]) -> None:
        if name == "created":
            assert data["object"] == "thread"
        elif name.startswith("message."):
            self._take_message(name.removeprefix("message."), data)
        elif name.startswith("run.step."):
            self._take_step(name.removeprefix("run.step."), data)
        else:
            self._take_run(name.removeprefix("run."), data)

    # ------------------------------------------------------------------------------------------------ runs

    def _take_run(self, name: str, run: dict[str, Any]) -> None:
        assert (run["object"], run["status"]) == ("thread.run", RUN_STATUSES[name])
        assert self.last_run.get("id") in (None, run["id"])
        over = name in RESTING - {"requires_action"}
        assert (run["usage"] is not None) == over
        assert (run["expires_at"] is None) == over
        assert (run["required_action"] is not None) == (name == "requires_action")
        assert (run["last_error"] is not None) == (name == "failed")
        assert (run["incomplete_details"] is not None) == (name == "incomplete")
        if over:
            assert "in_progress" not in self._steps.values(), "the run is over and a step is not"
        self.last_run = run

    # ------------------------------------------------------------------------------------------------ messages

    def _take_message(self, name: str, data: dict[str, Any]) -> None:
        if name == "delta":
            self._take_text(data)
            return
        assert data["object"] == "thread.message"
        if name == "created":
            assert self._active is None, "Node: a second message before the first has ended"
            assert data["content"] == []  # (a)
            assert data["id"] in self._announced  # (h)
            assert data["id"] not in self.texts, "created twice"
            self._active, self._parts, self.texts[data["id"]] = data["id"], [], ""
        assert data["id"] == self._active  # (b)
        assert data["status"] == ("in_progress" if name == "created" else name)
        if name in ("completed", "incomplete"):
            assert len(data["content"]) >= len(self._parts)  # (e)
            assert "".join(part["text"]["value"] for part in data["content"]) == self.texts[data["id"]]
            assert (data["incomplete_details"] is None) == (name == "completed")
            self._active = None

    def _take_text(self, data: dict[str, Any]) -> None:
        assert data["object"] == "thread.message.delta"
        assert data["id"] == self._active  # (b)
        assert set(data["delta"]) == {"content"}  # (c) no role
        for part in data["delta"]["content"]:
            index = part["index"]
            assert type(index) is int  # (d)
            assert 0 <= index <= len(self._parts)
            assert set(part) == {"index", "type", "text"}
            first = index == len(self._parts)
            assert set(part["text"]) == ({"value", "annotations"} if first else {"value"})  # (f)
            if first:
                assert part["text"]["annotations"] == []
                self._parts.append(part)
            assert part["text"]["value"]
            self.texts[data["id"]] += part["text"]["value"]

    # ------------------------------------------------------------------------------------------------ steps

    def _take_step(self, name: str, data: dict[str, Any]) -> None:
        if name == "delta":
            self._take_calls(data)
            return
        assert data["object"] == "thread.run.step"
        details = data["step_details"]
        assert data["type"] == details["type"]
        if name == "created":
            assert data["id"] not in self._steps, "created twice"
            if data["type"] == "tool_calls":
                assert details["tool_calls"] == []  # (a)
                self.calls[data["id"]] = []
            else:
                self._announced.add(details["message_creation"]["message_id"])
        assert data["status"] == ("in_progress" if name == "created" else name)
        assert (data["usage"] is None) == (data["status"] == "in_progress")
        if name not in ("created", "in_progress") and data["id"] in self.calls:
            told = [
                {"id": call["id"], "name": call["function"]["name"], "arguments": call["function"]["arguments"]}
                for call in details["tool_calls"]
            ]
            assert told == self.calls[data["id"]]
        self._steps[data["id"]] = data["status"]

    def _take_calls(self, data: dict[str, Any]) -> None:
        assert data["object"] == "thread.run.step.delta"
        assert self._steps[data["id"]] == "in_progress"  # (b)
        assert set(data["delta"]) == {"step_details"}
        details = data["delta"]["step_details"]
        assert (set(details), details["type"]) == ({"type", "tool_calls"}, "tool_calls")
        calls = self.calls[data["id"]]
        for call in details["tool_calls"]:
            assert type(call["index"]) is int  # (d)
            assert call["type"] == "function"
            assert 0 <= call["index"] <= len(calls)
            if call["index"] == len(calls):
                assert set(call) == {"index", "id", "type", "function"}
                assert set(call["function"]) == {"name", "arguments", "output"}
                assert (call["function"]["arguments"], call["function"]["output"]) == ("", None)
                calls.append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
            else:  # (c) what is told once is added up, so it is told once
                assert set(call) == {"index", "type", "function"}
                assert set(call["function"]) == {"arguments"}
                calls[call["index"]]["arguments"] += call["function"]["arguments"]
