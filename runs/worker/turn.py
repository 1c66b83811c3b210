"""What one model call has opened so far, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inference.chat import Usage
from runs import asked
from runs.asked import Entry
from runs.citations import Citing
from runs.services.recorder import NOTHING_MADE, Made
from runs.tools.base import ServerTool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMessage:
    """A message another worker had begun, with what was committed of it."""

    step_id: str
    message_id: str
    text: str
    parts: int  # that stand before the text
    pieces: int  # of the model's output that the text was made of
    citations: int


@dataclass(slots=True)
class ServerCall:
    """A call of a tool that is carried out here.

    :ivar name: that the model called.
    :ivar hear: from the next piece of what the model writes to what clients see of it.
    """

    id: str
    name: str
    tool: ServerTool
    hear: Callable[[str], str]
    written: list[str] = field(default_factory=list)

    def entry(self) -> Entry:
        """What the step keeps of it, once all of it is written."""
        arguments = self.tool.arguments("".join(self.written))
        tool = self.tool
        request = tool.approval(arguments)
        return asked.entry(self.name, arguments, kind=tool.kind, identity=tool.identity, request=request)


@dataclass(slots=True)
class Turn:
    """A model call's output on its way into the rows.

    Its tokens are known at its end only; until then the pieces of its output are what is counted. Of what the model
    writes to a tool that clients do not see, the rows know nothing before it is whole: these pieces are never counted.
    """

    citing: Citing
    made: Made = NOTHING_MADE  # what its message will show
    parts: int = 0  # of its message, that stand before the text
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
    def of(cls, opened: OpenMessage | None, sources: Mapping[str, str], made: Made) -> Turn:
        """A fresh turn, or the one another worker had begun.

        :param sources: the files that the answer may cite, by their marks.
        :param made: what code has made, and no message shows yet.
        """
        if opened is None:
            return cls(Citing(sources), made, len(made.images))
        return cls(
            citing=Citing(sources, length=len(opened.text), count=opened.citations),
            parts=opened.parts,
            message_id=opened.message_id,
            message_step_id=opened.step_id,
            started_text=bool(opened.text),
            carried=opened.pieces,
            written=opened.pieces,
            given=opened.pieces,
        )

    def asked(self) -> dict[str, Entry]:
        """What was asked of the tools that are carried out here, as the step keeps it: by the id of the call."""
        return {call.id: call.entry() for call in self.calls.values() if call is not None}

    def spent(self, usage: Usage) -> Usage:
        """The engine's count as if the answer had never been cut, less what was counted with the turn's message."""
        prompt = max(0, usage.prompt_tokens - self.carried)
        completion = max(0, usage.completion_tokens + self.carried - self.counted)
        return Usage(prompt, completion, min(usage.cached_tokens, prompt), usage.reasoning_tokens)
