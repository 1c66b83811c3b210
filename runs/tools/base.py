"""What a tool is that is carried out here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from inference.chat import Attribution
from runs.outcomes import Outcome

Call = dict[str, Any]  # a tool call as a step shows it: the contract's shape
FUNCTION = "function"
INTERRUPTED = (
    "The worker stopped while this call was carried out. It is not known how far it came; it was not made again."
)


class ToolFailed(Exception):
    """A call came to nothing: the model is told why, and the run goes on."""

    def __init__(self, message: str, outcome: Outcome = Outcome.ERROR) -> None:
        super().__init__(message)
        self.message, self.outcome = message, outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a tool knows of the run that it works for.

    :ivar model: the name that was asked for.
    :ivar resources: the ``tool_resources`` of the assistant (or the run's own), and of the thread, in this order.
    """

    project_id: str
    thread_id: str
    run_id: str
    model: str
    resources: tuple[dict[str, Any], dict[str, Any]]
    attribution: Attribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a tool knows of the call that it carries out.

    :ivar index: the call's place in its step.
    :ivar done: the calls of the step that were carried out here before it.
    :ivar show: lets clients see a delta of the call, in the contract's shape without ``index``; what is shown is not
        recorded as the call's result.
    """

    step_id: str
    index: int
    done: Sequence[Call]
    show: Callable[[Call], Awaitable[None]]


class ServerTool(ABC):
    """A tool of one run.

    What the model asked is recorded before anything is carried out, and what came of it afterwards: a worker that dies
    between leaves a call that another one carries out again. Everything that the model is told later comes from rows.

    :cvar type: of its calls in steps.
    :cvar kind: what is counted as one kind of tool.
    :cvar shown: the field of a call in which clients see what the model writes, while it writes; "": they do not.
    :cvar timeout: seconds that a call may take.
    :param settings: the tool's entry among those of the run, in the contract's normal form.
    """

    type: ClassVar[str]
    kind: ClassVar[str]
    shown: ClassVar[str] = ""
    timeout: float = 60.0
    repeatable: bool = True  # False: a call that its worker did not live to end is not made again

    def __init__(self, settings: dict[str, Any], surroundings: Surroundings) -> None:
        self.settings = settings
        self.surroundings = surroundings

    @property
    def identity(self) -> str:
        """What is kept with a call: another tool, which a model may know by the same name later, has another one."""
        return self.kind

    @classmethod
    def unavailable(cls) -> str:
        """Why no run can have the tool on this server now, in a sentence; "" where it can."""
        return ""

    @abstractmethod
    def definition(self, name: str) -> dict[str, Any]:
        """The function that the model is shown, under this name."""

    @abstractmethod
    def arguments(self, text: str) -> dict[str, Any]:
        """What the model wrote, as it is kept: small models do not always write JSON."""

    async def is_for_others(self) -> bool:
        """Whether another worker can carry it out now, and this one cannot."""
        return False

    def listener(self) -> Callable[[str], str]:
        """From the pieces of what the model writes, in order, to what clients see of them in ``shown``."""
        return str

    @abstractmethod
    def begun(self, name: str, call_id: str) -> Call:
        """The call as clients see it at first."""

    def approval(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """What a person is asked before the call is carried out, where one is; see :mod:`runs.services.approvals`."""
        return None

    @abstractmethod
    async def carry_out(self, call: Call, arguments: dict[str, Any], work: Work) -> Call:
        """The call with what came of it.

        :raises ToolFailed: nothing came of it.
        :raises InferenceError: the run cannot go on.
        """

    @abstractmethod
    def failed(self, call: Call, message: str) -> Call:
        """The call with the reason why nothing came of it; "" where the call says it already."""

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

    def waited(self, call_id: str) -> float:
        """Seconds of a call in which it was not its turn yet. They count against nobody."""
        return 0.0

    def lasting_sources(self) -> dict[str, str]:
        """Those that any answer of the thread may cite, in this run and in later ones, because of all calls so far."""
        return {}


def begun_function(name: str, call_id: str) -> Call:
    """A call of a function as clients see it at first."""
    return {"id": call_id, "type": FUNCTION, FUNCTION: {"name": name, "arguments": "", "output": None}}
