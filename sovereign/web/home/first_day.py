"""What is to be done on the first day, each line with the place where it is done, until all of it is or who reads it
has had enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from assistants.admin.visible import visible_assistants
from assistants.knowledge.models import StoreFile
from assistants.models import AssistantVersion
from inference.starter.persona import DEMO_NAME
from runs.models import Run
from sovereign.accounts.admin.base import known, projects_allowing
from sovereign.accounts.models import ApiKey, Membership, Project, User
from sovereign.accounts.scopes import ASSISTANTS_WRITE, KEYS_MANAGE, MEMBERS_MANAGE, STORES_READ
from sovereign.web.models import Dismissal

NAME = "first-day"


@dataclass(frozen=True, slots=True)
class Step:
    """
    :ivar title: what is to be done.
    :ivar words: how it comes to be so.
    :ivar address: where; empty where this person cannot do it.
    """

    title: str
    words: str
    address: str
    is_done: bool


def checklist(request: HttpRequest, engine: dict[str, Any]) -> list[Step]:
    """All steps that concern this person; empty once they are done or dismissed.

    :param engine: as ``sovereign.web.engines.summary`` tells it.
    """
    done = _done(request)
    if done["is_dismissed"]:
        return []
    steps = [*_of_the_house(engine), *_of_assistants(request, done), *_of_projects(request, done)]
    return [] if all(step.is_done for step in steps) else steps


def dismiss(request: HttpRequest) -> HttpResponse:
    """``POST``: this person is not shown it any more."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    row = Dismissal(user_id=request.user.pk or 0, what=NAME)
    Dismissal.objects.bulk_create([row], ignore_conflicts=True)
    return HttpResponseRedirect(reverse("admin:index"))


def _done(request: HttpRequest) -> dict[str, Any]:
    """What is there already, in one query."""
    own = visible_assistants(request).exclude(name=DEMO_NAME)  # that one is there from the beginning
    keys = ApiKey.objects.in_force(timezone.now()).exclude(last_used_at=None, created_by=None)  # nor the first start's
    members = Membership.objects.in_force().exclude(user_id=OuterRef("pk"))
    files = StoreFile.objects.filter(status="completed")
    asked: dict[str, QuerySet[Any]] = {
        "is_dismissed": Dismissal.objects.filter(user_id=OuterRef("pk"), what=NAME),
        "is_made": own,
        "is_tried": known(request, Run.objects.filter(assistant_id__in=own.values("pk"))),
        "is_published": AssistantVersion.objects.filter(assistant_id__in=own.values("pk")),
        "is_filled": _of_projects_allowing(request, STORES_READ, files, "store__project"),
        "is_keyed": _of_projects_allowing(request, KEYS_MANAGE, keys, "project"),
        "is_joined": _of_projects_allowing(request, MEMBERS_MANAGE, members, "project"),
    }
    person = User.objects.filter(pk=request.user.pk or 0)
    newest = own.order_by("-updated_at", "-pk").values("pk")[:1]
    found = person.annotate(**{name: Exists(rows.order_by()) for name, rows in asked.items()}, newest=newest)
    row: dict[str, Any] = found.values(*asked, "newest").get()
    return row


def _of_projects_allowing(request: HttpRequest, scope: str, rows: QuerySet[Any], way: str) -> QuerySet[Any]:
    projects = projects_allowing(request, scope)
    return rows if projects is None else rows.filter(**{f"{way}__in": projects})


def _of_the_house(engine: dict[str, Any]) -> list[Step]:
    is_real = engine["model"] is not None and not engine["is_demonstration"]
    return [
        Step(
            "Connect a real model",
            "A provider such as Ollama, vLLM or OpenAI, or set MODEL_NAME and start again.",
            reverse("admin:inference_provider_changelist"),
            is_real and engine["state"] in ("ready", "asleep"),
        )
    ]


def _of_assistants(request: HttpRequest, done: dict[str, Any]) -> list[Step]:
    allowed = projects_allowing(request, ASSISTANTS_WRITE)
    if allowed is not None and not allowed:
        return []
    newest = done["newest"]
    return [
        Step(
            "Make an assistant",
            "Give it a name, a model and instructions, or start from a template.",
            _page("assistants_assistant_add"),
            done["is_made"],
        ),
        Step("Try it", "Ask it something before others do.", _of(newest, "assistant_try"), done["is_tried"]),
        Step(
            "Give it a file",
            "Drop a file on an assistant's page; it looks things up there.",
            _of(newest, "assistants_assistant_change"),
            done["is_filled"],
        ),
        Step(
            "Publish a version",
            "A version stays as it is while you go on with the draft.",
            _of(newest, "assistants_assistant_versions"),
            done["is_published"],
        ),
    ]


def _of_projects(request: HttpRequest, done: dict[str, Any]) -> list[Step]:
    """What administrators of a project do."""
    steps = []
    if projects_allowing(request, KEYS_MANAGE) != set():
        words = "Programs show it with every request; the SDKs of OpenAI take it."
        steps.append(Step("Give an application a key", words, _page("accounts_apikey_add"), done["is_keyed"]))
    if (managed := projects_allowing(request, MEMBERS_MANAGE)) != set():
        words = "Add a person to a project; their role says what they may do."
        project = Project.objects.active().values_list("pk", flat=True)
        first = (project if managed is None else project.filter(pk__in=managed)).first()
        address = _page("accounts_project_change", first) if first else ""
        steps.append(Step("Bring in your team", words, address, done["is_joined"]))
    return steps


def _of(assistant_id: str | None, name: str) -> str:
    return _page(name, assistant_id) if assistant_id else ""


def _page(name: str, *ids: str) -> str:
    """The address of a page of the admin, or of one beside it; empty where this server has none."""
    for full in (f"admin:{name}", name):
        try:
            return reverse(full, args=[quote(each) for each in ids])
        except NoReverseMatch:
            continue
    return ""
