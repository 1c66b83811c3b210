"""Event handlers of openai-python that note every callback there is, for the blocking client and the other."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from openai import AssistantEventHandler, AsyncAssistantEventHandler

CALLBACKS = [name for name in vars(AssistantEventHandler) if name.startswith("on_")]

#: what a plain answer calls, besides ``on_event``
PLAIN = [
    "run_step_created",
    "message_created",
    "text_created",
    "text_delta",
    "message_delta",
    "text_done",
    "message_done",
    "run_step_done",
    "end",
]
#: what an answer calls that breaks off: it is told to its end all the same
BROKEN_OFF = PLAIN
#: what one call of a function calls, up to the end of the stream
FUNCTION = ["run_step_created", "tool_call_created", "run_step_delta", "tool_call_delta", "tool_call_done", "end"]


class Log:
    """What the callbacks of one stream were given.

    ``calls`` has their names without ``on_``, in order; of neighbouring deltas each name is there once, because how a
    text is cut into pieces is the engine's affair. ``events`` has the names of the events.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.events: list[str] = []
        self.text = ""
        self.arguments: list[str] = []
        self.code_input = self.code_output = ""
        self.exceptions: list[Exception] = []
        self._deltas: set[str] = set()

    def note(self, callback: str, *values: Any) -> None:
        name = callback.removeprefix("on_")
        if name == "event":
            self.events.append(values[0].event)
            return
        getattr(self, f"_{name}", lambda *_: None)(*values)
        if not name.endswith("_delta"):
            self._deltas.clear()
        elif name in self._deltas:
            return
        else:
            self._deltas.add(name)
        self.calls.append(name)

    def _text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value
        assert snapshot.value == self.text

    def _text_done(self, text: Any) -> None:
        assert text.value == self.text

    def _tool_call_done(self, call: Any) -> None:
        if call.type == "function":
            self.arguments.append(call.function.arguments)

    def _tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        if delta.type == "code_interpreter" and delta.code_interpreter is not None:
            self.code_input += delta.code_interpreter.input or ""
            outputs = delta.code_interpreter.outputs or []
            self.code_output += "".join(output.logs or "" for output in outputs if output.type == "logs")

    def _exception(self, exception: Exception) -> None:
        self.exceptions.append(exception)


class Recorder(AssistantEventHandler):
    """Notes every callback of a blocking stream."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()


class AsyncRecorder(AsyncAssistantEventHandler):
    """Notes every callback of an asynchronous stream."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()


def _blocking(name: str) -> Callable[..., None]:
    def callback(self: Recorder, *values: Any) -> None:
        self.log.note(name, *values)

    return callback


def _asynchronous(name: str) -> Callable[..., Coroutine[Any, Any, None]]:
    async def callback(self: AsyncRecorder, *values: Any) -> None:
        self.log.note(name, *values)

    return callback


for _name in CALLBACKS:
    setattr(Recorder, _name, _blocking(_name))
    setattr(AsyncRecorder, _name, _asynchronous(_name))


def answers_to(run: Any) -> list[dict[str, str]]:
    """An output for every call that a run waits for."""
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": f"{call.function.name} says 42"} for call in calls]
