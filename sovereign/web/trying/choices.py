"""What may answer on a side of the page: the draft, a version, or what is in service somewhere."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from assistants.kinds import Environment
from assistants.models import Assistant, AssistantVersion, Deployment
from runs.services import environments
from runs.services.environments import DRAFT
from sovereign.accounts.principals import Principal
from sovereign.core import times

TRIAL = "trial"  # what a thread of the page is for, in its metadata: see ``runs.lifecycle.smoke.PURPOSE``
VERSIONS_OFFERED = 50
VERSION_PREFIX = "version-"
NOBODY = ""  # on the right there may be nothing beside the left


@dataclass(frozen=True, slots=True)
class Choice:
    """
    :ivar value: ``draft``, an environment's name, or ``version-`` and its number.
    :ivar headers: what a request to ``/v1`` says to be answered by it.
    """

    value: str
    title: str

    @property
    def headers(self) -> dict[str, str]:
        number = version_of(self.value)
        return {"X-Sovereign-Version": number} if number else {"X-Sovereign-Environment": self.value}


def offered(assistant: Assistant) -> list[Choice]:
    """All that can answer now: the draft, what is in service, the newest versions."""
    return [
        Choice(DRAFT, f"Draft, as saved {times.shown(assistant.updated_at)}"),
        *_in_service(assistant),
        *_versions(assistant),
    ]


def first_pair(choices: list[Choice]) -> tuple[str, str]:
    """What the page begins with: the draft beside what people have now, or else beside the newest version."""
    others = [choice.value for choice in choices if choice.value != DRAFT]
    usual = environments.USUAL
    return DRAFT, usual if usual in others else next((value for value in others if version_of(value)), NOBODY)


def known(value: str | None, choices: list[Choice], otherwise: str) -> str:
    return value if value is not None and value in {choice.value for choice in choices} else otherwise


def version_of(value: str) -> str:
    """The version's number; empty where it is none."""
    return value.removeprefix(VERSION_PREFIX) if value.startswith(VERSION_PREFIX) else ""


def asking(principal: Principal, value: str) -> tuple[Principal, str | None]:
    """Who asks to be answered by a choice, and which version that is, where it is one.

    :raises ApiError: 400 or 403, as for the headers.
    """
    if number := version_of(value):
        return replace(principal, environment=None), environments.trying(principal, number)
    return environments.acting_in(principal, value), None


def _in_service(assistant: Assistant) -> list[Choice]:
    """Environments with what is deployed there, the last first."""
    serving = Deployment.objects.filter(assistant=assistant, status__in=("active", "canary"))
    places: dict[str, list[str]] = defaultdict(list)
    for environment, status, number, percent in serving.order_by("status").values_list(
        "environment", "status", "version__number", "percent"
    ):
        share = f" for {percent.normalize():f} % of conversations" if status == "canary" and percent else ""
        places[environment].append(f"version {number}{share}")
    names = [place for place in reversed(Environment) if place.value in places]
    return [Choice(place.value, f"{place.label}: {', '.join(places[place.value])}") for place in names]


def _versions(assistant: Assistant) -> list[Choice]:
    published = AssistantVersion.objects.of(assistant.pk).order_by("-number").values_list("number", "created_at")
    return [
        Choice(f"{VERSION_PREFIX}{number}", f"Version {number}, published {times.shown(at)}")
        for number, at in published[:VERSIONS_OFFERED]
    ]
