"""The admin's first page: what runs now, figures of today, and the first day's steps, each person's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.models import Assistant
from assistants.services import create_assistant, versions
from inference.models import Engine
from inference.starter.persona import DEMO_NAME
from runs.analytics.counting import count_batch
from runs.models import Run
from runs.services.creation import create_thread_and_run
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

HOME = "/admin/"


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


def ask(principal: Principal, assistant: Assistant) -> Run:
    message = {"role": "user", "content": "How are you?"}
    return create_thread_and_run(
        principal=principal, assistant_id=assistant.id, thread={"messages": [message]}
    ).run  # fmt: skip


def home(client: Client) -> str:
    return client.get(HOME).content.decode()


def part(content: str, identifier: str) -> str:
    """The section that this heading names."""
    found = re.search(rf'<section[^>]*aria-labelledby="{identifier}-title">.*?</section>', content, re.S)
    return found[0] if found else ""


def steps(content: str) -> dict[str, tuple[bool, str]]:
    """By title, whether it is done and where it leads."""
    found = {}
    for line in re.findall(r"<li( class=\"sv-done\")?>(.*?)</li>", part(content, "first-day"), re.S):
        title = re.search(r"<strong>(.*?)</strong>|<a [^>]*href=\"([^\"]*)\">(.*?)</a>", line[1])
        assert title is not None
        assert ("(done)" in line[1]) == bool(line[0])
        found[title[1] or title[3]] = (bool(line[0]), title[2] or "")
    return found


def tiles(section: str) -> dict[str, str]:
    every = re.findall(r"<dt>(.*?)</dt><dd>(?:<a [^>]*>)?([^<]*)", section)
    return dict(every)


# ------------------------------------------------------------------------------------------- the first day


def test_the_first_days_steps_lead_to_where_they_are_done_and_go_when_all_are(
    client: Client, alice: User, principal: Principal, model: str, engine: Callable[..., Engine], project: Project
) -> None:
    create_assistant(principal=principal, model=model, name=DEMO_NAME)  # comes with the product: nobody made it
    services.create_api_key(project=project, name="first")  # likewise
    before = steps(home(client))
    assert [is_done for is_done, _ in before.values()] == [False] * 7
    assert before["Make an assistant"][1] == reverse("admin:assistants_assistant_add")
    assert before["Try it"][1] == ""  # there is nothing to try
    assert before["Bring in your team"][1] == reverse("admin:accounts_project_change", args=[quote(project.pk)])
    engine(state="ready")
    made = create_assistant(principal=principal, model=model, name="Guide")
    with_one = steps(home(client))
    assert {title for title, (is_done, _) in with_one.items() if is_done} == {
        "Connect a real model", "Make an assistant",
    }  # fmt: skip
    assert client.get(with_one["Try it"][1]).status_code == 200
    ask(principal, made)
    store = VectorStore.objects.create(project=project, name="Store", last_active_at=timezone.now())
    file = File.objects.create(project=project, filename="a.txt", bytes=1, purpose="assistants")
    StoreFile.objects.create(store=store, file=file, status="completed", created_at=timezone.now())
    versions.publish(principal=principal, assistant_id=made.id)
    services.create_api_key(project=project, name="app", principal=principal)
    last = steps(home(client))
    assert [title for title, (is_done, _) in last.items() if not is_done] == ["Bring in your team"]
    services.add_member(project=project, user=User.objects.create_user("dora"), role=Role.VIEWER)
    assert steps(home(client)) == {}


def test_they_are_dismissed_by_each_person_for_themselves(
    client: Client, bob: User, visit: Callable[[User], Client]
) -> None:
    address = reverse("first-day-dismiss")
    assert client.get(address).status_code == 405
    assert Client().post(address).status_code == 302  # to the login
    for _ in range(2):
        assert client.post(address)["Location"] == HOME
    assert steps(home(client)) == {}
    titles = set(steps(home(visit(bob))))
    assert "Make an assistant" in titles
    assert not {"Give an application a key", "Bring in your team"} & titles  # an analyst cannot do that


def test_of_others_projects_they_know_nothing(
    client: Client, assistant: Assistant, run: Run, charlie: User, visit: Callable[[User], Client]
) -> None:
    assert steps(home(client))["Try it"][0]
    assert not steps(home(visit(charlie)))["Make an assistant"][0]


# ------------------------------------------------------------------------------------------- what runs


def test_what_runs_is_counted_by_what_it_waits_for(
    client: Client, principal: Principal, assistant: Assistant, charlie: User, visit: Callable[[User], Client]
) -> None:
    made = [ask(principal, assistant).pk for _ in range(6)]
    for pk, status in zip(
        made[1:], ("in_progress", "in_progress", "cancelling", "requires_action", "failed"), strict=True
    ):
        Run.objects.filter(pk=pk).update(status=status)
    now = part(home(client), "running")
    assert tiles(now) == {"Queued": "1", "In progress": "3", "Waiting for somebody": "1"}
    address = re.search(r'href="([^"]*requires_action)"', now)
    assert address is not None
    assert client.get(address[1].replace("&amp;", "&")).content.decode().count("data-row ") == 1
    assert tiles(part(home(visit(charlie)), "running")) == dict.fromkeys(tiles(now), "0")


def test_who_sees_several_projects_is_told_of_each(
    run: Run, charlies_project: Project, charlie: User, model: str, visit: Callable[[User], Client]
) -> None:
    theirs = principal_of_person(charlie.pk)
    other = create_assistant(principal=theirs, model=model, name="Other")
    ask(theirs, other)
    Project.objects.filter(pk=charlies_project.pk).update(name=EVIL)
    root = User.objects.create_superuser("root")
    content = home(visit(root))
    now = part(content, "running")
    assert tiles(now)["Queued"] == "2"
    assert len(re.findall(r'<th scope="row">', now)) == 2
    assert "&lt;script&gt;" in now
    assert not any(mark in content for mark in EVIL_MARKS)


def test_the_runs_of_somebodys_private_assistant_are_not_counted_for_others(
    principal: Principal, alice: User, bob: User, model: str, visit: Callable[[User], Client]
) -> None:
    secret = create_assistant(principal=principal, model=model, name="Secret")
    Assistant.objects.filter(pk=secret.pk).update(visibility="private")
    made = ask(principal, secret)
    seen = home(visit(bob))
    assert tiles(part(seen, "running"))["Queued"] == "0"
    assert tiles(part(home(visit(alice)), "running"))["Queued"] == "1"
    Run.objects.filter(pk=made.pk).update(status="completed", completed_at=timezone.now())
    count_batch(100)
    assert tiles(part(home(visit(bob)), "figures"))["Runs"] == "0"
    assert tiles(part(home(visit(alice)), "figures"))["Runs"] == "1"


# ------------------------------------------------------------------------------------------- figures


def test_todays_figures_are_of_the_readers_day(
    client: Client, run: Run, charlie: User, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    monkeypatch.setattr("django.utils.timezone.now", lambda: noon)
    ended = noon - timedelta(hours=10)
    error = {"code": "rate_limit_exceeded", "message": "Enough."}
    Run.objects.filter(pk=run.pk).update(status="failed", failed_at=ended, created_at=ended, last_error=error)
    assert "1 run has ended" in home(client)
    count_batch(100)
    today = part(home(client), "figures")
    assert "has ended" not in today
    assert tiles(today)["Runs"] == tiles(today)["Failed runs"] == "1"
    assert "<code>rate_limit_exceeded</code> 1×" in today
    assert len(re.findall(r"<svg ", today)) == 3
    assert len(set(re.findall(r' id="([^"]*)"', today))) == len(re.findall(r' id="[^"]*"', today))
    client.cookies["timezone"] = "America/Los_Angeles"  # where it is not yet five: what ended at ten was yesterday
    there = part(home(client), "figures")
    assert tiles(there)["Runs"] == "0"
    assert "19:00: 1" in there or "18:00: 1" in there  # its hour, by the clock there
    assert tiles(part(home(visit(charlie)), "figures"))["Runs"] == "0"


def test_the_page_takes_few_queries(
    client: Client, principal: Principal, assistant: Assistant, run: Run, engine: Callable[..., Engine],
    django_assert_max_num_queries: Any, remembered_registry: Callable[[], None],
) -> None:  # fmt: skip
    engine(state="ready")
    for _ in range(30):
        ask(principal, assistant)
    count_batch(100)
    remembered_registry()
    with django_assert_max_num_queries(20):
        assert client.get(HOME).status_code == 200


# ------------------------------------------------------------------------------------------------ the frame around


def test_what_is_pressed_in_the_frame_is_a_button_with_a_name(client: Client) -> None:
    content = home(client)
    assert re.findall(r"<(?!button|form)\w+\b[^>]*\sx-on:click=", content) == []
    pressed = re.findall(r"<button\b[^>]*\sx-on:click(?:\.stop)?=[^>]*>.*?</button>", content, re.S)
    assert len(pressed) >= 5
    for button in pressed:
        seen = re.sub(r"<(\w+)[^>]*aria-hidden=\"true\".*?</\1>", "", button, flags=re.S)
        assert "aria-label=" in button or re.sub(r"<[^>]+>", "", seen).strip(), button
