"""Making runs: one transaction from the request to the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import transaction

from assistants import services as assistants
from assistants.knowledge.services import resources
from assistants.knowledge.services.resources import THREAD_STORE_DAYS
from assistants.models import Assistant, AssistantVersion
from assistants.resolution import resolve
from assistants.services import versions
from inference import gateway
from runs import events
from runs.configuration import FrozenConfiguration, compose, freeze
from runs.events import EventLog
from runs.models import Run
from runs.rendering import changing_fields
from runs.services.environments import must_be_deployed
from runs.services.reaping import end_overdue_of
from runs.services.shares import refuse_spent, scale_of
from runs.states import Status
from runs.tools import CONTRACT_TOOLS
from runs.tools.base import FUNCTION
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_WRITE, THREADS_WRITE
from sovereign.core import bus, errors
from sovereign.core.database import now, service
from sovereign.core.ids import instant_of, new_id
from threads import services as threads
from threads.models import Message, Thread
from threads.rendering import render_thread

CLOCKS_AGREE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rooms above keep of a thread for its runs.

    :ivar variables: what prompts are filled with, over the thread's metadata and under the run's.
    :ivar conversation: see :class:`runs.configuration.FrozenConfiguration`.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    conversation: dict[str, Any] | None = None


#: What the rooms above are asked of a locked thread (its id) that is to get a run: they add to it when they start.
before_running: list[Callable[[str], Setting | None]] = []
#: What they are asked of a thread (its id) whose run is looked at again, which is no activity: its variables.
remembered: list[Callable[[str], Mapping[str, str]]] = []


@dataclass(frozen=True, slots=True)
class Begun:
    """A run and the cursor its stream starts from."""

    run: Run
    cursor: int = 0


@service
def create_run(
    *,
    principal: Principal,
    thread_id: str,
    assistant_id: str,
    version: str | None = None,
    origin: Mapping[str, str] = MappingProxyType({}),
    **request: Any,
) -> Begun:
    """Queue a run on a thread.

    :param version: number or id of the one that is tried, whatever is deployed.
    :param origin: the run before it that it ``continues`` or ``retries``; see :mod:`runs.services.again`.
    :param request: the contract's overrides, validated; ``additional_messages`` are appended first.
    :raises ApiError: 404 for thread, assistant, version or model; 400 where a run is active, or nothing is there to
        answer; 429 where the assistant has used its tokens of the day in the principal's environment.
    """
    principal.require(RUNS_WRITE)
    if request.get("additional_messages"):
        principal.require(THREADS_WRITE)
    thread = threads.lock_thread(principal=principal, thread_id=thread_id)
    if thread.active_run_id:
        end_overdue_of(thread.id)
    assistant = assistants.named_assistant(principal=principal, assistant_id=assistant_id)
    tried = _tried(principal, assistant, version)
    setting = _setting_of(thread)
    return _queue(
        principal, thread, assistant, request, first_event=None, version=tried, setting=setting, origin=origin
    )


@service
def create_thread_and_run(
    *, principal: Principal, assistant_id: str, thread: dict[str, Any], version: str | None = None, **request: Any
) -> Begun:
    """Make a thread and queue a run on it; the stream starts with the thread. Takes and raises what
    :func:`create_run` does."""
    principal.require(RUNS_WRITE)
    assistant = assistants.named_assistant(principal=principal, assistant_id=assistant_id)
    tried = _tried(principal, assistant, version)
    made = threads.create_thread(principal=principal, **{**thread, "messages": thread.get("messages") or []})
    if wanted := request.get("tool_resources"):
        request["tool_resources"] = resources.settle(
            principal=principal, resources=wanted, expires_after_days=THREAD_STORE_DAYS
        )
    return _queue(principal, made, assistant, request, first_event=render_thread(made), version=tried)


@service
def try_version(
    *,
    principal: Principal,
    version: AssistantVersion,
    messages: Sequence[dict[str, Any]],
    metadata: dict[str, str],
    overrides: dict[str, Any] | None = None,
) -> Begun:
    """A run of a version, whatever is deployed, on a thread of its own: an evaluation's case, or a first conversation.

    :param messages: the contract's, validated.
    :param metadata: of the thread and the run; it says what they are for.
    :param overrides: as a request has them.
    :raises ApiError: like :func:`create_run`.
    """
    principal.require(RUNS_WRITE)
    thread = threads.create_thread(principal=principal, messages=list(messages), metadata=metadata)
    request = {**(overrides or {}), "metadata": metadata}
    return _queue(principal, thread, version.assistant, request, first_event=None, version=version)


def _tried(principal: Principal, assistant: Assistant, version: str | None) -> AssistantVersion | None:
    if version is None:
        return None
    return versions.get_version(principal=principal, assistant_id=assistant.id, version=version)


def variables_of(thread_id: str) -> dict[str, str]:
    """What the rooms above fill the prompts of a thread's runs with."""
    return {name: value for ask in remembered for name, value in ask(thread_id).items()}


def _setting_of(thread: Thread) -> Setting:
    return next((setting for ask in before_running if (setting := ask(thread.id)) is not None), Setting())


def _queue(
    principal: Principal,
    thread: Thread,
    assistant: Assistant,
    request: dict[str, Any],
    *,
    first_event: dict[str, Any] | None,
    version: AssistantVersion | None = None,
    setting: Setting = Setting(),
    origin: Mapping[str, str] = MappingProxyType({}),
) -> Begun:
    run_id = new_id("run_")
    born = born_at(run_id)  # what comes now may take its time
    threads.occupy(thread, run_id)
    threads.append_messages(principal=principal, thread=thread, drafts=request.get("additional_messages") or [])
    environment = principal.environment if version is None else None  # a version is tried outside of them all
    scale = scale_of(assistant, environment)
    refuse_spent(scale)
    resolved = resolve(
        assistant=assistant,
        environment=environment,
        thread_id=thread.id,
        variables={**thread.metadata, **setting.variables, **(request.get("metadata") or {})},
        user_groups=[principal.role] if principal.role else [],
        version=version,
        must_be_deployed=must_be_deployed(principal),
    )
    run = Run(
        id=run_id,
        thread=thread,
        assistant_id=assistant.id,
        version_id=resolved.version_id,
        deployment_id=resolved.deployment_id,
        environment=resolved.environment,
        priority=scale.priority if scale is not None else 0,
        metadata=request.get("metadata") or {},
        **origin,
    )
    return queue(principal, run, compose(resolved, request, setting.conversation), born=born, first_event=first_event)


def queue(
    principal: Principal,
    run: Run,
    configuration: FrozenConfiguration,
    *,
    born: datetime,
    first_event: dict[str, Any] | None = None,
) -> Begun:
    """Let workers take a run that is made with this configuration, and occupies its thread already.

    :param run: with its id, its thread, and what it comes from.
    :param born: see :func:`born_at`.
    :raises ApiError: 404 or 400, nothing here could answer what the configuration and the thread ask.
    """
    _check(run.thread, configuration)
    run.configuration = freeze(principal.project_id, configuration)
    run.project_id, run.model = principal.project_id, configuration.model
    run.created_by_user, run.created_by_key = principal.user_id, principal.key_id
    run.expires_at = born + timedelta(seconds=settings.SOVEREIGN.run_expires_seconds)
    run.save(force_insert=True)
    _tell(principal, run, first_event)
    return Begun(run)


def _tell(principal: Principal, run: Run, first_event: dict[str, Any] | None) -> None:
    """A run's first events, the audit's entry, and a wake-up for the workers."""
    with EventLog() as log:
        if first_event is not None:
            log.append(run, events.THREAD_CREATED, first_event)
        log.append(run, events.RUN_CREATED, changing_fields(run))
        log.append(run, events.RUN_PREFIX + Status.QUEUED, changing_fields(run))
    audit.record(principal, "run.created", run)
    transaction.on_commit(partial(bus.publish, bus.RUN_WAITING, {"run": run.id}))


def _check(thread: Thread, configuration: FrozenConfiguration) -> None:
    gateway.check_model(configuration.model, project_id=thread.project_id)
    _refuse_unoffered_tools(configuration.tools)
    _refuse_unknown_choice(configuration.tool_choice, configuration.tools)
    if not configuration.instructions and not _has_user_message(thread):
        raise errors.ApiError(
            "Run creation requires a Thread with a user message or an assistant with instructions.",
            code="invalid_thread",
        )


def born_at(run_id: str) -> datetime:
    """When a run's life begins: by the database's clock, and where the id's agrees, at the very ``created_at``."""
    instant, made = now(), instant_of(run_id)
    return made if made is not None and abs(instant - made) < CLOCKS_AGREE else instant


def _refuse_unoffered_tools(tools: list[dict[str, Any]]) -> None:
    """A tool that this server cannot run is refused when a run asks for it, never silently left out."""
    for index, tool in enumerate(tools):
        if reason := _why_unoffered(tool["type"]):
            raise errors.ApiError(
                f"The tool '{tool['type']}' is not available on this server{reason}",
                param=f"tools[{index}].type",
                code="unsupported_tool",
            )


def _why_unoffered(kind: str) -> str:
    if kind == FUNCTION:
        return ""
    if kind not in CONTRACT_TOOLS:
        return "."
    reason = CONTRACT_TOOLS[kind].unavailable()
    return f": {reason}" if reason else ""


def _refuse_unknown_choice(choice: Any, tools: list[dict[str, Any]]) -> None:
    """A tool that the first turn has to call must be there: an engine would be asked for what it was not given."""
    if isinstance(choice, str) or any(_is_chosen(choice, tool) for tool in tools):
        return
    wanted = f"function '{choice['function']['name']}'" if choice["type"] == "function" else f"tool '{choice['type']}'"
    raise errors.ApiError(
        f"Invalid 'tool_choice': the {wanted} is not among the run's tools.",
        param="tool_choice",
        code="invalid_value",
    )


def _is_chosen(choice: dict[str, Any], tool: dict[str, Any]) -> bool:
    if choice["type"] != tool["type"]:
        return False
    return choice["type"] != "function" or bool(choice["function"]["name"] == tool["function"]["name"])


def _has_user_message(thread: Thread) -> bool:
    return Message.objects.of_thread(thread.id).filter(role=Message.Role.USER).exists()
