"""A run's question, asked again: of the same configuration, of another version, or of another model."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from assistants import services as assistants
from assistants.resolution import resolve
from assistants.services import versions
from runs.configuration import FrozenConfiguration, compose, thaw, with_model
from runs.models import Run
from runs.services import again, creation
from runs.services.creation import Begun
from runs.services.environments import may_choose
from runs.services.past import past_of
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, RUNS_READ, RUNS_WRITE
from sovereign.core import errors
from sovereign.core.api.validation import METADATA_PAIRS
from sovereign.core.database import only_row, service
from sovereign.core.ids import new_id
from threads import services as threads
from threads.copying import copy_thread
from threads.services import note_reading

DRAFT = versions.DRAFT
PURPOSE, REPLAY_OF = "sovereign_purpose", "sovereign_replay_of"  # names of metadata of what is made here


@service
def replay(*, principal: Principal, run_id: str, version: str | None = None, model: str | None = None) -> Begun:
    """Queue a run that answers what another one answered, on a thread of its own, outside of all environments.

    Its tools are really called again.

    :param version: of the run's assistant: a number, an id, or ``draft``; ``None`` for all that the run had, frozen.
    :param model: in place of the one that it would be.
    :raises ApiError: 404 for the run, the version or the model; 403 for people who may not choose what they talk to,
        and for keys of an environment; 400 ``run_not_over``, or nothing here could answer.
    """
    principal.require(RUNS_WRITE)
    original = _original(principal, run_id)
    _refuse_bound(principal)
    if not original.is_over:
        raise errors.ApiError(
            f"The run is still '{original.status}': replay it once it is over.", param="run_id", code="run_not_over"
        )
    note_reading(principal=principal, thread=original.thread)
    configuration, version_id = _configuration(principal, original, version)
    if model is not None:
        configuration = with_model(configuration, model)
    return _queue(principal, original, configuration, version_id)


def _original(principal: Principal, run_id: str) -> Run:
    principal.require(RUNS_READ)
    runs = Run.objects.visible_to(principal).select_related("configuration", "thread")
    run: Run | None = only_row(runs.filter(pk=run_id))
    if run is None:
        raise errors.not_found("run", run_id)
    return run


def _refuse_bound(principal: Principal) -> None:
    """What is deployed in an environment, and what may be used of it there, would else be gone around."""
    if principal.user_id is not None and not may_choose(principal):
        raise errors.forbidden(ASSISTANTS_DEPLOY)
    if principal.user_id is None and principal.environment is not None:
        raise errors.ApiError(
            f"This API key is bound to {principal.environment}: it gets what is deployed there, and replays nothing.",
            status=HTTPStatus.FORBIDDEN,
            code="key_bound_to_environment",
        )


def _configuration(principal: Principal, run: Run, version: str | None) -> tuple[FrozenConfiguration, str | None]:
    """What it is answered with, and the id of the version that this is of.

    Of another version's the run keeps what its request said of files, and how its conversation is cut. Prompts are
    chosen and filled in as they were for the run's own thread.
    """
    frozen = thaw(run.configuration.data)
    if version is None:
        return frozen, run.version_id
    assistant = assistants.named_assistant(principal=principal, assistant_id=run.assistant_id or "")
    meant = None
    if version != DRAFT:
        meant = versions.get_version(principal=principal, assistant_id=assistant.pk, version=version)
    resolved = resolve(
        assistant=assistant,
        environment=None,
        thread_id=run.thread_id,
        variables={**run.thread.metadata, **creation.variables_of(run.thread_id), **run.metadata},
        user_groups=[principal.role] if principal.role else [],
        version=meant,
    )
    return compose(resolved, {"tool_resources": frozen.own_resources}, frozen.conversation), resolved.version_id


def _queue(principal: Principal, original: Run, configuration: FrozenConfiguration, version_id: str | None) -> Begun:
    run_id = new_id("run_")
    born = creation.born_at(run_id)
    metadata = _metadata(original)
    thread = copy_thread(
        principal=principal,
        source=original.thread,
        past=past_of(original, original.started_at),
        title=f"Replay of {original.pk}",  # and none of its words, which may be redacted
        metadata=metadata,
        without=again.tries_of(original).superseded,
    )
    threads.occupy(thread, run_id)
    run = Run(
        id=run_id,
        thread=thread,
        assistant_id=original.assistant_id,
        version_id=version_id,
        replay_of=original.pk,
        metadata=metadata,
    )
    begun = creation.queue(principal, run, configuration, born=born)
    audit.record(principal, "run.replayed", original, replay=run.pk)
    return begun


def _metadata(original: Run) -> dict[str, Any]:
    """That of the run and its thread, as far as there is room, and what this is."""
    own = {PURPOSE: "replay", REPLAY_OF: original.pk}
    given = {**original.thread.metadata, **original.metadata}
    kept = [pair for pair in given.items() if pair[0] not in own]
    return {**dict(kept[: METADATA_PAIRS - len(own)]), **own}
