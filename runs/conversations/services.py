"""The only door for changing conversations.

Locks are taken as everywhere: the thread first. Its lock guards its conversation, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.db.models.functions import Now

from assistants import services as assistants
from assistants.models import Assistant
from assistants.prompting import PlacedPrompt
from assistants.resolution import resolve
from inference import gateway
from runs.conversations import claims
from runs.conversations import variables as filling
from runs.conversations.models import Conversation
from runs.models import Run
from runs.services import control, creation
from runs.services.creation import Begun, Setting
from runs.services.environments import acting_in, must_be_deployed
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import THREADS_READ, THREADS_WRITE
from sovereign.core import errors
from sovereign.core.database import now, only_row, service, visible_row
from threads import services as threads
from threads.models import Message

UNRATED = {"thumb": "", "score": None, "comment": ""}


def get_conversation(*, principal: Principal, conversation_id: str) -> Conversation:
    """:raises ApiError: 404, for an unknown one and for one the principal may not see alike."""
    principal.require(THREADS_READ)
    return _found(principal, conversation_id)


def _found(principal: Principal, conversation_id: str) -> Conversation:
    found = visible_row(Conversation, principal, conversation_id)
    if found is None:
        raise errors.not_found("conversation", conversation_id)
    return found


def _locked(principal: Principal, conversation_id: str) -> Conversation:
    """The conversation as it is once its thread is locked."""
    principal.require(THREADS_WRITE)
    thread = threads.lock_thread(principal=principal, thread_id=_found(principal, conversation_id).thread_id)
    found: Conversation = Conversation.objects.get(pk=conversation_id)
    found.thread = thread
    return found


def _active(principal: Principal, conversation_id: str) -> Conversation:
    """As :func:`_locked`. :raises ApiError: 400 ``conversation_ended``."""
    found = _locked(principal, conversation_id)
    _must_go_on(found)
    return found


def _must_go_on(conversation: Conversation) -> None:
    if conversation.is_over:
        raise errors.ApiError(f"The conversation '{conversation.id}' has ended.", code="conversation_ended")


@service
def start(
    *,
    principal: Principal,
    assistant_id: str,
    variables: dict[str, Any] | None = None,
    metadata: dict[str, str] | None = None,
    title: str = "",
    messages: Sequence[dict[str, Any]] = (),
    **context: Any,
) -> Conversation:
    """Begin to talk to an assistant, on a thread of its own.

    :param principal: in the environment where the assistant is looked up.
    :param messages: earlier ones, which nobody is to answer.
    :param context: ``compression``, ``window_tokens``.
    :raises ApiError: 404 for assistant, model and files; 400 where the assistant answers nobody here, or a variable is
        not as its prompts declare it.
    """
    principal.require(THREADS_WRITE)
    assistant = assistants.named_assistant(principal=principal, assistant_id=assistant_id)
    given = filling.merged({}, variables or {})
    thread = threads.create_thread(principal=principal, messages=messages, metadata=metadata, title=title)
    filling.check(_prompts_of(principal, assistant, thread.id), given)
    made: Conversation = Conversation.objects.create(
        project_id=principal.project_id,
        thread=thread,
        assistant_id=assistant.id,
        environment=principal.environment if principal.user_id is not None else None,
        created_by_user=principal.user_id,
        created_by_key=principal.key_id,
        variables=given,
        last_activity_at=now(),
        **context,
    )
    audit.record(principal, "conversation.started", made, assistant=assistant.id)
    return made


def _prompts_of(principal: Principal, assistant: Assistant, thread_id: str) -> list[PlacedPrompt]:
    """Those that the assistant has on this thread.

    :raises ApiError: 400 or 404, it would answer nobody.
    """
    resolved = resolve(
        assistant=assistant,
        environment=principal.environment,
        thread_id=thread_id,
        variables=None,
        must_be_deployed=must_be_deployed(principal),
    )
    gateway.check_model(resolved.content.model, project_id=principal.project_id)
    return list(resolved.content.prompts)


def told_in(message: Message) -> Iterator[list[str]]:
    """Answers with the conversation of a message, as long as it was called by the message's first line."""
    titled = f'"title":{orjson.dumps(threads.title_by(message)).decode()}'
    found = Conversation.objects.filter(thread_id=message.thread_id).values_list("id", flat=True)
    yield from ([conversation_id, titled] for conversation_id in found)


@service
def say(*, principal: Principal, conversation_id: str, **message: Any) -> Begun:
    """Append a user's message, and queue the run that answers it.

    :param message: the contract's ``content``, ``attachments`` and ``metadata``.
    :raises ApiError: 400, the conversation has ended; and like :func:`runs.services.creation.create_run`.
    """
    conversation = _active(principal, conversation_id)
    return creation.create_run(
        principal=acting_in(principal, conversation.environment),
        thread_id=conversation.thread_id,
        assistant_id=conversation.assistant_id,
        additional_messages=[{**message, "role": "user"}],
    )


def setting_of(thread_id: str) -> Setting | None:
    """What the runs of a conversation's thread have of it, whoever makes one: that is activity, too.

    :raises ApiError: 400 ``conversation_ended``.
    """
    conversation: Conversation | None = only_row(Conversation.objects.filter(thread_id=thread_id))
    if conversation is None:
        return None
    _must_go_on(conversation)
    Conversation.objects.filter(pk=conversation.pk).update(last_activity_at=Now(), **claims.mark_of(conversation))
    return Setting(
        variables=filling.as_texts(conversation.variables),
        conversation={"compression": conversation.compression, "window_tokens": conversation.window_tokens},
    )


def variables_of(thread_id: str) -> dict[str, str]:
    """What the prompts of a conversation's runs are filled with, of one that is over too; nothing of other threads."""
    conversation: Conversation | None = only_row(Conversation.objects.filter(thread_id=thread_id))
    return {} if conversation is None else filling.as_texts(conversation.variables)


@service
def change_context(*, principal: Principal, conversation_id: str, **fields: Any) -> Conversation:
    """Change what later answers are made with: ``variables`` (over those that are there; ``null`` takes one away),
    ``compression``, ``window_tokens``.

    :raises ApiError: 404; 400, the conversation has ended; and like :func:`start`.
    """
    conversation = _active(principal, conversation_id)
    changed = sorted(fields)
    if given := fields.pop("variables", None):
        fields["variables"] = filling.merged(conversation.variables, given)
        acting = acting_in(principal, conversation.environment)
        assistant = assistants.named_assistant(principal=acting, assistant_id=conversation.assistant_id)
        filling.check(_prompts_of(acting, assistant, conversation.thread_id), given)
    _save(conversation, **fields, last_activity_at=now())
    claims.mark_thread(conversation.thread_id)
    audit.record(principal, "conversation.context_changed", conversation, fields=changed)
    return conversation


@service
def end(*, principal: Principal, conversation_id: str, reason: str = "") -> Conversation:
    """Let nobody say anything more; a run that is at work is cancelled. Nothing happens to one that has ended.

    :raises ApiError: 404; 403, there is a run that the principal may not cancel.
    """
    conversation = _locked(principal, conversation_id)
    if conversation.is_over:
        return conversation
    _cancel_run_of(principal, conversation)
    instant = now()
    _save(conversation, ended_at=instant, end_reason=reason, last_activity_at=instant)
    audit.record(principal, "conversation.ended", conversation, reason=reason)
    return conversation


def _cancel_run_of(principal: Principal, conversation: Conversation) -> None:
    cancellable = Run.objects.filter(thread_id=conversation.thread_id, status__in=control.CANCELLABLE)
    for run_id in cancellable.values_list("id", flat=True):
        control.cancel_run(principal=principal, thread_id=conversation.thread_id, run_id=run_id)


@service
def rate(*, principal: Principal, conversation_id: str, **rating: Any) -> Conversation:
    """Say how good it was: ``thumb``, ``score``, ``comment``, as far as they are given; ``None`` takes one back.

    :raises ApiError: 404.
    """
    conversation = _locked(principal, conversation_id)
    given = {name: UNRATED[name] if value is None else value for name, value in rating.items()}
    is_rated = any(given.get(name, getattr(conversation, name)) != nothing for name, nothing in UNRATED.items())
    runs = Run.objects.filter(thread_id=conversation.thread_id) if is_rated else Run.objects.none()
    newest = runs.order_by("-created_at", "-id").values_list("id", flat=True).first()
    _save(conversation, **given, rated_at=now() if is_rated else None, rated_run_id=newest)
    audit.record(principal, "conversation.rated", conversation, fields=sorted(rating))
    return conversation


def _save(conversation: Conversation, **fields: Any) -> None:
    """Only what is changed here: other columns are the roll-ups' and the summing up's."""
    for name, value in fields.items():
        setattr(conversation, name, value)
    conversation.save(update_fields=sorted(fields))
