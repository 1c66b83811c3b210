"""A message of a person's own thread said otherwise, or an answer made again: on a branch of it."""

from __future__ import annotations

from typing import Any

from assistants.models import Assistant
from inference import gateway
from runs.rendering import render_run_row
from runs.services import branching, environments
from sovereign.core import errors
from sovereign.core.api.validation import StrictList, StrictSerializer, StrictString
from sovereign.web.chat.answers import Asked, json_page
from sovereign.web.chat.sidebar import title_of
from sovereign.web.trying import choices
from threads import branches as forks_of
from threads.api.serializers import Attachment
from threads.branches import Fork
from threads.shapes import MAXIMUM_PARTS, ContentField

ID_LENGTH = 64
MODEL_LENGTH = 256


class Wanted(StrictSerializer):
    """What is to stand in the place of a message, and who is to answer.

    ``content`` (with ``attachments``) where it is a person's; ``answering`` as :mod:`sovereign.web.trying.choices` has
    it, which environment where nothing is said.
    """

    message = StrictString(max_length=ID_LENGTH)
    assistant_id = StrictString(max_length=ID_LENGTH)
    content = ContentField(required=False)
    attachments = StrictList(child=Attachment(), maximum=MAXIMUM_PARTS, required=False)
    answering = StrictString(max_length=ID_LENGTH, required=False)
    model = StrictString(max_length=MODEL_LENGTH, required=False)


@json_page("POST", spends=True)
def branch(asked: Asked, thread_id: str) -> dict[str, Any]:
    """``{"thread": the branch's id, "run": the contract's}``."""
    wanted = Wanted.checked(asked.body)
    thread = asked.own_thread(thread_id)
    if wanted.get("content") == "":
        raise errors.ApiError("Write a message first.", param="content", code="invalid_value")
    who, version = choices.asking(asked.principal, wanted.get("answering") or environments.USUAL)
    said: dict[str, Any] = {name: wanted[name] for name in ("content", "attachments") if name in wanted}

    def begin() -> dict[str, Any]:
        begun = branching.branch(
            principal=who,
            thread_id=thread.pk,
            message_id=wanted["message"],
            assistant_id=wanted["assistant_id"],
            said=said or None,
            version=version,
            model=wanted.get("model") or None,
        )
        return {"thread": begun.run.thread_id, "run": render_run_row(begun.run)}

    told: dict[str, Any] = asked.once(begin)
    return told


@json_page("GET")
def branches(asked: Asked, thread_id: str) -> dict[str, Any]:
    """Where the thread comes from and branches.

    ``origin``: the one that it is a branch of, ``{"thread", "title"}`` or ``null``; ``left_out``: how many messages of
    that one it does not have; ``forks``: see :class:`threads.branches.Fork`.
    """
    thread = asked.own_thread(thread_id)
    user_id = int(asked.principal.user_id or 0)
    origin = forks_of.origin_of(thread, user_id)
    return {
        "origin": origin and {"thread": origin.pk, "title": title_of(origin)},
        "left_out": thread.left_out,
        "forks": [_told(fork) for fork in forks_of.forks(thread, user_id)],
    }


@json_page("GET")
def answering(asked: Asked) -> dict[str, Any]:
    """``?assistant=…``: which of its versions the person may have answer, and which models in the place of its own.

    ``{"choices": [{"value", "title"}], "models": names}``: nothing for who may not choose.
    """
    visible = Assistant.objects.visible_to(asked.principal)
    assistant = visible.filter(pk=asked.request.GET.get("assistant", "")).first()
    if assistant is None:
        raise errors.not_found("assistant", asked.request.GET.get("assistant", ""))
    if not environments.may_choose(asked.principal):
        return {"choices": [], "models": []}
    return {
        "choices": [{"value": choice.value, "title": choice.title} for choice in choices.offered(assistant)],
        "models": sorted(_models(asked.principal.project_id)),
    }


def _models(project_id: str) -> set[str]:
    """The names of those that a project may talk to."""
    return {entry.id for entry in gateway.models(project_id) if entry.capabilities.chat}


def _told(fork: Fork) -> dict[str, Any]:
    versions = [{"thread": version.thread_id, "message": version.message_id} for version in fork.versions]
    return {"message": fork.message_id, "current": fork.current, "versions": versions}
