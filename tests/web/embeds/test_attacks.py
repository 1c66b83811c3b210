"""An embed as somebody sees it who wants more of it than it is for, and what ends it while it is open."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from assistants.embeds import services
from assistants.embeds.models import EmbedKey, Visitor
from assistants.models import Assistant, Deployment, Scale
from assistants.services import update_assistant
from runs.models import DayTokens, Run
from runs.streaming import rights
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.web.embed.visiting import VisitorsRights
from tests.web.embeds.conftest import INSTRUCTIONS, SITE, Browser, end
from tests.web.embeds.test_visitors import _filled, routes

pytestmark = pytest.mark.django_db

EVIL = "\"></title></script><script>alert(1)</script><img src=x onerror=alert(1)>'"
INSIDE = re.compile(r"asst_|/admin|/api/v1|API key|test-model|deployed|tokens of today")


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_inside_is_not_told(visitor: Browser, project: Project) -> None:
    """No ids, no models, no limits and no way through the admin: one sentence, and one code for the page."""
    thread = visitor.ask().json()["thread_id"]
    end(Run.objects.values("id", "thread_id").get())
    assistants = Assistant.objects.filter(pk=visitor.embed.assistant_id)

    def refusals() -> list[HttpResponse]:
        return [visitor.ask(), visitor.ask(thread=thread)]

    def each(change: dict[str, str]) -> list[HttpResponse]:
        assistants.update(**change)
        return refusals()

    resting = [answer for status in ("inactive", "archived") for answer in each({"status": status})]
    assistants.update(status="active")
    Deployment.objects.update(status="retired")
    withdrawn = refusals()
    Deployment.objects.update(status="active")
    for deployment in Deployment.objects.select_related("version"):
        type(deployment.version).objects.filter(pk=deployment.version_id).update(
            content={**deployment.version.content, "model": "test-model-that-is-gone"}
        )
    for answer in [*resting, *withdrawn, *refusals()]:
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_answering"), answer.content
        assert not INSIDE.search(answer.content.decode()), answer.content


def test_what_the_assistant_has_used_up_is_not_told(visitor: Browser) -> None:
    own = {"project_id": visitor.embed.project_id, "environment": "production"}
    Scale.objects.create(assistant=visitor.embed.assistant, tokens_per_day=5, **own)
    DayTokens.objects.create(assistant_id=visitor.embed.assistant_id, day=timezone.now().date(), tokens=9, **own)
    refused = visitor.ask()
    assert refused.status_code == 429
    assert not INSIDE.search(refused.content.decode())
    assert int(refused["Retry-After"]) > 0


def test_every_door_of_an_embed_wants_the_token_of_its_own_visitor(
    visitor: Browser, make: Callable[..., EmbedKey], alice: User, api_key: str
) -> None:
    """Generated from the addresses: a new one is held to it, too."""
    run = visitor.ask().json()
    own = {"public_key": visitor.embed.public_key, "thread_id": run["thread_id"], "run_id": run["id"]}
    doors = [route for route in routes(get_resolver().url_patterns) if route.startswith("embed/") and "/" in route[6:]]
    assert len(doors) >= 11
    stranger, elsewhere = Browser(visitor.embed), Browser(make(name="Other"))
    person = Client()
    person.force_login(alice)
    for route in doors:
        if route.endswith("/visitors"):
            continue
        address = "/" + "".join(_filled(part, own) for part in route.split("<"))
        for client, token in (
            (Client(), ""), (Client(), elsewhere.token), (Client(), visitor.embed.public_key), (Client(), api_key),
            (person, ""), (Client(), stranger.token),
        ):  # fmt: skip
            for method in ("get", "post", "put", "patch", "delete"):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                body = {} if method == "get" else {"data": "{}", "content_type": "application/json"}
                answer = getattr(client, method)(address, headers=headers, **body)
                expected = (400, 404, 405) if token == stranger.token else (401, 405)
                assert answer.status_code in expected, f"{method} {address}: {answer.status_code}"
                assert run["thread_id"] not in answer.content.decode() or answer.status_code == 404
    assert Run.objects.count() == 1


def test_a_visitors_token_changes_nothing_at_any_other_door(visitor: Browser, deployed: Assistant) -> None:
    """Pages for people, links, files, health: with the token each answers as it does to a stranger."""
    known = {"assistant_id": deployed.pk, "thread_id": visitor.ask().json()["thread_id"]}
    others = {
        route
        for route in routes(get_resolver().url_patterns)
        if not route.startswith(("v1/", "api/v1/", "mcp", "embed"))
    }
    assert len(others) > 60
    for route in sorted(others):
        path = re.sub(r"[\^$\\]|\(\?P<\w+>[^)]*\)", "", route)
        address = "/" + "".join(_filled(part, known) for part in path.split("<"))
        answers = [
            Client().get(address, headers=headers) for headers in ({}, {"Authorization": f"Bearer {visitor.token}"})
        ]
        told = [answer.status_code for answer in answers]
        assert told[0] == told[1] or told[1] in (401, 403, 404), f"{address}: {told}"
        if not answers[1].streaming:
            assert INSTRUCTIONS not in answers[1].content.decode(errors="replace"), address


def test_pages_that_may_use_the_api_may_not_use_this(visitor: Browser, settings: Any) -> None:
    """CORS is for ``/v1``: a site that it allows is no page of ours."""
    from dataclasses import replace

    settings.SOVEREIGN = replace(settings.SOVEREIGN, cors_origins=("https://app.example",))
    asked = visitor.call("post", "visitors", Origin="https://app.example")
    assert asked.status_code == 403
    assert "Access-Control-Allow-Origin" not in asked
    for origin in (
        "http://testserver:81",
        "https://testserver.evil.example",
        "http://testserver@evil.example",
        "http://[",
    ):
        assert visitor.call("post", "visitors", Origin=origin).status_code == 403, origin


# ------------------------------------------------------------------------------------------------ the page


def test_nothing_that_is_written_of_an_assistant_runs_in_the_frame(embed: EmbedKey, principal: Principal) -> None:
    update_assistant(principal=principal, assistant_id=embed.assistant_id, name=EVIL, description=EVIL)
    page = Client().get(f"/embed/{embed.public_key}").content.decode()
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 2, "the page's data and its module"


def test_what_is_withdrawn_or_rests_is_shown_nowhere(embed: EmbedKey) -> None:
    def status() -> int:
        return Client().get(f"/embed/{embed.public_key}").status_code

    assert status() == 200
    for ending in ("retired", "rolled_back", "superseded"):
        Deployment.objects.update(status=ending)
        assert status() == 404, ending
    Deployment.objects.update(status="active")
    for resting in ("inactive", "archived"):
        Assistant.objects.update(status=resting)
        assert status() == 404, resting
    Assistant.objects.update(status="active")
    assert status() == 200


@pytest.mark.parametrize(
    ("asked", "browser", "spoken"),
    [
        ("de", "en", "de"),
        ("de-AT", "en", "de"),
        ("en", "de", "en"),
        ("", "de", "de"),
        ("fr", "de", "de"),
        ("../x", "en", "en"),
    ],
)
def test_the_frame_speaks_as_the_site_around_it_does(embed: EmbedKey, asked: str, browser: str, spoken: str) -> None:
    answer = Client().get(f"/embed/{embed.public_key}?language={asked}", headers={"Accept-Language": browser})
    assert f'<html lang="{spoken}">' in answer.content.decode()
    assert answer["Content-Language"] == spoken


def test_who_needs_an_account_logs_in_elsewhere(make: Callable[..., EmbedKey], alice: User) -> None:
    """Not in the frame, also with a session: a page around it could make somebody press what they do not see."""
    embed = make(allows_anonymous=False)
    client = Client()
    client.force_login(alice)
    with_session, without = client.get(f"/embed/{embed.public_key}"), Client().get(f"/embed/{embed.public_key}")
    assert with_session.content == without.content
    assert "no other site can act in your name" in without.content.decode()
    chat = client.get("/chat/")
    assert chat["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in chat["Content-Security-Policy"]
    assert {settings.SESSION_COOKIE_SAMESITE, settings.CSRF_COOKIE_SAMESITE} <= {"Lax", "Strict"}


# ------------------------------------------------------------------------------------------------ in mid-answer


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ending", ["revoked", "closed", "private", "expired", "key", "project"])
def test_what_is_open_ends_with_what_it_stands_on(visitor: Browser, principal: Principal, ending: str) -> None:
    visitor.ask()
    visit = services.visit_of(visitor.embed.public_key, visitor.token or "")
    held = VisitorsRights(visit.principal)

    def holds() -> bool:
        rights._verdicts.clear()
        return asyncio.run(held.still_hold())

    assert holds()
    if ending == "revoked":
        services.revoke_embed(principal=principal, embed=visitor.embed)
    elif ending == "closed":
        services.change_embed(principal=principal, embed=visitor.embed, allows_anonymous=False)
    elif ending == "private":
        Assistant.objects.update(visibility="private")
    elif ending == "expired":
        Visitor.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif ending == "key":
        type(visitor.embed.api_key).objects.update(revoked_at=timezone.now())
    else:
        Project.objects.update(archived_at=timezone.now())
    assert not holds()


def test_origins_are_of_the_one_site(make: Callable[..., EmbedKey]) -> None:
    """Another port, scheme or subdomain is another site."""
    policy = Client().get(f"/embed/{make(origins=[SITE + ':8443']).public_key}")["Content-Security-Policy"]
    assert f"frame-ancestors {SITE}:8443" in policy
    assert policy.count(SITE) == 1
