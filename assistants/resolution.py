"""What an assistant means at the moment a run is made: the only resolver there is."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from assistants.models import Assistant, AssistantVersion, Deployment, LifeStatus
from assistants.prompting import Occasion, Prompted, prompted
from assistants.snapshots import Content, take
from sovereign.core.errors import ApiError

SCHEMA_VERSION = 1  # raised when the meaning of a stored configuration changes
BUCKETS = 10_000  # a canary's share is told in hundredths of a per cent


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedConfiguration:
    """An assistant's settings with everything looked up, before a run's own overrides.

    :ivar content: of the draft, or of the version; for all settings that are not beside it here.
    :ivar instructions: its own, or what its prompts say; then its personality.
    :ivar tools: its own, and after them the functions that it has of the project's library.
    :ivar prompts: those that were used; see :class:`assistants.prompting.Prompted`.
    """

    assistant_id: str
    content: Content
    instructions: str
    tools: list[dict[str, Any]]
    prompts: list[dict[str, Any]]
    version_id: str | None
    deployment_id: str | None
    environment: str | None


def resolve(
    *,
    assistant: Assistant,
    environment: str | None,
    thread_id: str | None,
    variables: Mapping[str, str] | None,
    user_groups: Collection[str] = (),
    version: AssistantVersion | None = None,
    must_be_deployed: bool = False,
) -> ResolvedConfiguration:
    """The configuration a run of ``assistant`` gets.

    Without an environment it is the live assistant, which is OpenAI's behaviour and the default; in one it is what is
    deployed there: a thread that a canary has got stays with it.

    :param thread_id: what canaries and prompts by weight are decided by.
    :param variables: what prompts are chosen by and filled in with.
    :param version: this version, whatever is deployed.
    :param must_be_deployed: do not go back to the live assistant where nothing is.
    :raises ApiError: 400 ``assistant_not_deployed`` or ``assistant_inactive``.
    """
    deployment = None
    if environment is not None and version is None:
        deployment = _in_service(assistant, environment, thread_id, must_be_deployed)
    if deployment is not None:
        version = deployment.version
    content = take(assistant) if version is None else Content.of_json(version.content)
    name = assistant.name if content.name is None else content.name
    occasion = Occasion(thread_id=thread_id, instant=timezone.now(), variables=variables or {}, user_groups=user_groups)
    said = prompted(content.instructions or "", content.prompts, occasion, name=name or "")
    return ResolvedConfiguration(
        assistant_id=assistant.id,
        content=content,
        instructions=_with_personality(said, content),
        tools=[*content.tools, *content.library_tools],
        prompts=said.used,
        version_id=version.id if version is not None else None,
        deployment_id=deployment.id if deployment is not None else None,
        environment=environment,
    )


def _in_service(
    assistant: Assistant, environment: str, thread_id: str | None, must_be_deployed: bool
) -> Deployment | None:
    _refuse_inactive(assistant)
    deployment = deployed(assistant.id, environment, thread_id)
    if deployment is None and must_be_deployed:
        raise not_deployed(assistant, environment)
    return deployment


def deployed(assistant_id: str, environment: str, thread_id: str | None) -> Deployment | None:
    """What serves a thread there: the active deployment, or the canary beside it for its share of the threads."""
    found = Deployment.objects.in_service(assistant_id, environment).select_related("version")
    by_status = {deployment.status: deployment for deployment in found}
    canary = by_status.get(Deployment.Status.CANARY)
    if canary is not None and thread_id is not None and is_in_share(canary.id, thread_id, canary.percent):
        return canary
    return by_status.get(Deployment.Status.ACTIVE)


def is_in_share(deployment_id: str, thread_id: str, percent: Decimal | None) -> bool:
    """Whether a thread belongs to a canary's share: always the same, and still so when the share grows."""
    digest = hashlib.sha256(f"{deployment_id}:{thread_id}".encode()).digest()
    return percent is not None and int.from_bytes(digest[:8]) % BUCKETS < percent * (BUCKETS // 100)


def not_deployed(assistant: Assistant, environment: str) -> ApiError:
    return ApiError(
        f"No version of the assistant '{assistant.id}' is deployed in {environment}. Deploy one there; or take "
        "an API key that is bound to no environment, or choose another version in the chat.",
        param="assistant_id",
        code="assistant_not_deployed",
    )


def _refuse_inactive(assistant: Assistant) -> None:
    if assistant.status in (LifeStatus.INACTIVE, LifeStatus.ARCHIVED):
        raise inactive(assistant)


def inactive(assistant: Assistant) -> ApiError:
    """Of one that answers nobody in environments and in the chat, with the way back."""
    way = "Make it active again" if assistant.status == LifeStatus.INACTIVE else "Bring it back and make it active"
    return ApiError(
        f"The assistant '{assistant.id}' is {assistant.status} and answers nobody. {way}: on its page in the admin, or "
        f"by its status with PUT /api/v1/assistants/{assistant.id}.",
        param="assistant_id",
        code="assistant_inactive",
    )


def _with_personality(said: Prompted, content: Content) -> str:
    return "\n\n".join(text for text in (said.instructions, content.personality) if text)
