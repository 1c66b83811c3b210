"""What a tool is that is carried out here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from inference.chat import Attribution

Call = dict[str, Any]  # a tool call as a step shows it: the contract's shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a tool knows of the run that it works for.

    :ivar model: the name that was asked for.
    :ivar resources: the ``tool_resources`` of the assistant (or the run's own), and of the thread, in this order.
    """

    project_id: str
    model: str
    resources: tuple[dict[str, Any], dict[str, Any]]
    attribution: Attribution


class ServerTool(ABC):
    """A tool of one run.

    What the model asked is recorded before anything is carried out, and what came of it afterwards: a worker that dies
    between leaves a call that another one carries out again. Everything that the model is told later comes from rows.

    :param settings: the tool's entry among those of the run, in the contract's normal form.
    """

    type: ClassVar[str]

    def __init__(self, settings: dict[str, Any], surroundings: Surroundings) -> None:
        self.settings = settings
        self.surroundings = surroundings

    @abstractmethod
    def definition(self, name: str) -> dict[str, Any]:
        """The function that the model is shown, under this name."""

    @abstractmethod
    def arguments(self, text: str) -> dict[str, Any]:
        """What the model wrote, as it is kept: small models do not always write JSON."""

    @abstractmethod
    def begun(self, call_id: str) -> Call:
        """The call as clients see it at first."""

    @abstractmethod
    async def carry_out(self, call: Call, arguments: dict[str, Any], done: Sequence[Call]) -> Call:
        """The call with what came of it.

        :param done: the calls of the same step that were carried out before it.
        :raises InferenceError: the run cannot go on.
        """

    @abstractmethod
    def told(self, call: Call, *, position: int, earlier: Sequence[Call], room: int) -> str:
        """What the model is told of a call that was carried out.

        :param position: of the call's step in its run.
        :param earlier: the calls of the same step that were carried out before it.
        :param room: the most it may be, in bytes of UTF-8; a sentence that says so may be longer.
        """

    def sources(self, call: Call, *, position: int, earlier: Sequence[Call]) -> dict[str, str]:
        """The files that an answer may cite because of this call: their ids by their marks."""
        return {}
