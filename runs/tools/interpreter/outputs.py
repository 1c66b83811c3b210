"""What comes of one piece of code: shown to clients while it comes, and kept for the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from runs.asked import KEPT
from runs.tools.base import Call

TYPE = "code_interpreter"
LOGS = 64 * 1024  # bytes of UTF-8 that are shown
CUT = f"\n[The rest was left out: the code printed more than {LOGS // 1024} KiB.]\n"


class Outputs:
    """The outputs of a call in the contract's shape, and what of it is for the model only.

    :ivar files: the ids of the files that were made, by their paths.
    :ivar notes: sentences for the model.
    :ivar session: the id of the session that the code runs in; "" until there is one.
    :ivar waited: seconds until there was one.
    """

    def __init__(self, show: Callable[[Call], Awaitable[None]]) -> None:
        self._show = show
        self._room = LOGS
        self._outputs: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}
        self.notes: list[str] = []
        self.session = ""
        self.waited = 0.0

    async def print(self, text: str) -> None:
        """What the code printed; what is too much is left out, and said once."""
        content = text.encode()
        if self._room <= 0 or not content:
            return
        if len(content) > self._room:
            text = content[: self._room].decode(errors="ignore") + CUT
        self._room -= len(content)
        await self._log(text)

    async def say(self, sentence: str) -> None:
        """A line of ours, however much was printed."""
        await self._log(sentence_line(self._outputs, sentence))

    async def draw(self, file_id: str) -> None:
        await self._add({"type": "image", "image": {"file_id": file_id}})

    def of(self, call: Call) -> Call:
        """The call with all of it."""
        return {
            **call,
            TYPE: {**call[TYPE], "outputs": [{**output} for output in self._outputs]},
            KEPT: {"files": self.files, "notes": self.notes, "session": self.session},
        }

    async def _log(self, text: str) -> None:
        if self._outputs and self._outputs[-1]["type"] == "logs":
            self._outputs[-1]["logs"] += text
            await self._tell({"type": "logs", "logs": text})
        else:
            await self._add({"type": "logs", "logs": text})

    async def _add(self, output: dict[str, Any]) -> None:
        self._outputs.append({**output})
        await self._tell(output)

    async def _tell(self, output: dict[str, Any]) -> None:
        shown = {"index": len(self._outputs) - 1, **output}
        await self._show({"type": TYPE, TYPE: {"outputs": [shown]}})


def sentence_line(outputs: list[dict[str, Any]], sentence: str) -> str:
    """A sentence on a line of its own behind these outputs."""
    printed = outputs[-1].get("logs", "") if outputs else ""
    return f"{sentence}\n" if not printed or printed.endswith("\n") else f"\n{sentence}\n"
