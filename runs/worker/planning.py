"""Which tools a run's next model call has, and what is done before it. From rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistants.catalog.models import McpServer
from assistants.kinds import Capability
from assistants.models import Retrieval
from inference.chat import Attribution, Capabilities
from runs.configuration import has
from runs.models import Run, RunStep
from runs.tools.base import Surroundings
from runs.tools.file_search import FileSearch, check_usable
from runs.tools.mcp import McpTool, stale
from runs.tools.toolbox import Toolbox
from runs.worker.conversation import is_beforehand
from threads.models import Message

Step = RunStep.StepStatus
MAXIMUM_ROUNDS = 16  # turns with calls that are carried out here; then the model has to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that is made before the model is asked: with which tool, its name, and what is searched for."""

    tool: FileSearch
    name: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The tools of a model call, and what comes before it.

    :ivar tools: as the model is shown them.
    :ivar choice: the model call's ``tool_choice``.
    :ivar calls_tools: the assistant may; else the model was shown none, and what it calls all the same is not done.
    :ivar must_answer: the model has called tools often enough.
    :ivar search: to be made before the model is asked, where that is how the assistant's files are searched.
    :ivar awaited: vector stores whose files the run waits for.
    :ivar stale: MCP servers whose tools are asked for anew before the run's first model call.
    """

    toolbox: Toolbox
    tools: list[dict[str, Any]]
    choice: Any
    calls_tools: bool
    must_answer: bool
    search: Search | None = None
    awaited: Sequence[str] = ()
    stale: Sequence[McpServer] = ()


def plan(run: Run, steps: Sequence[RunStep], capabilities: Capabilities) -> Plan:
    """Needs ``run.configuration`` and ``run.thread``.

    Where the assistant calls no tools the model is shown none, and its files are searched as for a model that cannot.

    :raises InferenceError: a vector store that would be searched has expired.
    """
    configuration, toolbox = run.configuration.data, _toolbox(run)
    files = toolbox.of_class(FileSearch)
    calls_tools = has(configuration, Capability.TOOLS)
    searches_first = files is not None and _searches_first(configuration, calls_tools and capabilities.tools)
    rounds = sum(step.status == Step.COMPLETED and bool(step.asked) and not is_beforehand(step) for step in steps)
    must_answer = rounds >= MAXIMUM_ROUNDS
    search, awaited = None, list[str]()
    if files is not None and not steps and configuration["tool_choice"] != "none":
        check_usable(run.project_id, files.stores())
        awaited = files.stores_of_thread()
        search = _search(run, files, toolbox) if searches_first else None
    return Plan(
        toolbox=toolbox,
        tools=toolbox.definitions(without={FileSearch.type} if searches_first else ()) if calls_tools else [],
        choice="none" if must_answer else _choice(toolbox, configuration["tool_choice"], steps, searches_first),
        calls_tools=calls_tools,
        must_answer=must_answer,
        search=search,
        awaited=awaited,
        stale=stale(toolbox.all_of_class(McpTool)) if calls_tools and not steps else (),
    )


def _search(run: Run, files: FileSearch, toolbox: Toolbox) -> Search | None:
    query = _last_question(run) if files.stores() else ""
    return Search(tool=files, name=toolbox.name_of(files), query=query) if query else None


def attribution_of(run: Run) -> Attribution:
    return Attribution(
        project=run.project_id,
        key=run.created_by_key,
        user=None if run.created_by_user is None else str(run.created_by_user),
        assistant=run.assistant_id,
        thread=run.thread_id,
        run=run.id,
        purpose="run",
    )


def _toolbox(run: Run) -> Toolbox:
    configuration = run.configuration.data
    surroundings = Surroundings(
        project_id=run.project_id,
        thread_id=run.thread_id,
        run_id=run.id,
        model=run.model,
        resources=(configuration["tool_resources"], run.thread.tool_resources),
        attribution=attribution_of(run),
    )
    return Toolbox(configuration["tools"], surroundings, server_tools=configuration.get("server_tools", ()))


def _searches_first(configuration: dict[str, Any], can_call: bool) -> bool:
    """Whether files are searched before the model is asked, and not by it."""
    how = configuration.get("retrieval", Retrieval.AUTO)  # runs that began before there was a choice have none
    return how == Retrieval.BEFORE or (how == Retrieval.AUTO and not can_call)


def _choice(toolbox: Toolbox, configured: Any, steps: Sequence[RunStep], searches_first: bool) -> Any:
    """A forced choice holds for the first model call only (one that was cut is the same): the loop would never end."""
    called = (step for step in steps if step.status == Step.COMPLETED and step.type == RunStep.Type.TOOL_CALLS)
    is_first = all(is_beforehand(step) for step in called)
    if configured == "none" or (is_first and not (searches_first and _names(configured, FileSearch.type))):
        return toolbox.choice(configured)
    return "auto"


def _names(choice: Any, kind: str) -> bool:
    return isinstance(choice, dict) and choice["type"] == kind


def _last_question(run: Run) -> str:
    said = Message.objects.of_thread(run.thread_id).filter(role=Message.Role.USER).order_by("-position").first()
    return said.text.strip() if said is not None else ""
