"""What one model call has opened so far, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.chat import Usage
from runs.citations import Citing
from runs.tools.base import ServerTool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMessage:
    """A message another worker had begun, with what was committed of it."""

    step_id: str
    message_id: str
    text: str
    pieces: int  # of the model's output that the text was made of
    citations: int


@dataclass(slots=True)
class ServerCall:
    """A call of a tool that is carried out here; its arguments are nobody's but the tool's."""

    id: str
    tool: ServerTool
    written: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Turn:
    """A model call's output on its way into the rows.

    Its tokens are known at its end only; until then the pieces of its output are what is counted. Of the arguments of
    calls that are carried out here the rows know nothing before they are whole, so these pieces are never counted.
    """

    citing: Citing
    message_id: str = ""
    message_step_id: str = ""
    tool_step_id: str = ""
    started_text: bool = False
    blanks: str = ""  # leading white space, held back until there is text: engines send it before tool calls
    calls: dict[int, ServerCall | None] = field(default_factory=dict)  # by the engine's number; None: the application's
    carried: int = 0  # pieces of the message that earlier workers wrote: they stand in this call's prompt
    written: int = 0  # pieces of the message, theirs and ours
    given: int = 0  # of these, the pieces that were given to the writer
    counted: int = 0  # pieces that were counted with the message before tool calls

    @classmethod
    def of(cls, opened: OpenMessage | None, sources: Mapping[str, str]) -> Turn:
        """A fresh turn, or the one another worker had begun.

        :param sources: the files that the answer may cite, by their marks.
        """
        if opened is None:
            return cls(Citing(sources))
        return cls(
            citing=Citing(sources, length=len(opened.text), count=opened.citations),
            message_id=opened.message_id,
            message_step_id=opened.step_id,
            started_text=bool(opened.text),
            carried=opened.pieces,
            written=opened.pieces,
            given=opened.pieces,
        )

    def asked(self) -> dict[str, Any]:
        """What was asked of the tools that are carried out here, as the step keeps it: by the id of the call."""
        return {
            call.id: {"arguments": call.tool.arguments("".join(call.written))}
            for call in self.calls.values()
            if call is not None
        }

    def spent(self, usage: Usage) -> Usage:
        """The engine's count as if the answer had never been cut, less what was counted with the turn's message."""
        prompt = max(0, usage.prompt_tokens - self.carried)
        completion = max(0, usage.completion_tokens + self.carried - self.counted)
        return Usage(prompt, completion, min(usage.cached_tokens, prompt), usage.reasoning_tokens)
