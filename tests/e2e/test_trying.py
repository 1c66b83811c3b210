"""An analyst tries an assistant: the draft beside a version, asked by one box, in a real browser."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import Locator, Page, expect

from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, Watched, painted
from tests.support.client import tokens, unique
from tests.support.processes import Upstream, eventually

pytestmark = pytest.mark.e2e

CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


@dataclass
class Trial:
    """The page of an assistant whose version 1 is sober and whose draft is merry."""

    watched: Watched
    assistant: str

    @property
    def page(self) -> Page:
        return self.watched.page

    def side(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name, exact=True)

    def answer(self, name: str) -> Locator:
        return self.side(name).locator(".message.assistant .body").last

    def figures(self, name: str) -> Locator:
        return self.side(name).locator(".figures").last

    def ask(self, text: str) -> None:
        self.page.get_by_label("Your message").fill(text)
        expect(self.page.get_by_role("button", name="Send")).to_be_enabled(timeout=LATER)
        self.page.keyboard.press("Enter")


@pytest.fixture
def trial(watched: Watched) -> Trial:
    client, name = watched.stack.client, f"Guide {secrets.token_hex(3)}"
    made = client.post(
        "/v1/assistants", {"model": "fake", "name": name, "instructions": "Be sober.", "tools": [CLOCK]}
    )["id"]
    page = watched.open(f"/admin/assistants/assistant/{quote(made)}/versions/")
    page.get_by_role("button", name="Publish version 1").click()
    expect(page.get_by_role("heading", name="The draft is version 1")).to_be_visible()
    client.post(f"/v1/assistants/{made}", {"instructions": "Be merry."})
    page.get_by_role("navigation", name="Assistant", exact=True).get_by_role("link", name="Try").click()
    expect(page.get_by_label("What answers on the right")).to_have_value("version-1")
    expect(page.locator("#try.is-scripted")).to_be_visible()
    painted(page)
    return Trial(watched, made)


def instructions(upstream: Upstream, key: str) -> list[Any]:
    """What the engine was told to be, in each request."""
    return sorted(body["messages"][0]["content"] for body in upstream.kept(key))


def test_the_draft_and_a_version_answer_side_by_side_and_a_good_answer_becomes_a_case(
    trial: Trial, upstream: Upstream
) -> None:
    page, key = trial.page, unique()
    trial.ask(f"Compare, please. [tokens=30 hold=12 keep=1 key={key}]")
    for name in ("Left", "Right"):
        expect(trial.answer(name)).to_contain_text("t11", timeout=LATER)  # streamed: the rest is not even made yet
        expect(trial.answer(name)).not_to_contain_text("t12")
    assert instructions(upstream, key) == ["Be merry.", "Be sober."]
    upstream.release(key)
    for name, origin in (("Left", "Draft"), ("Right", "Version 1")):
        expect(trial.answer(name)).to_have_text(tokens(30).strip(), timeout=LATER)
        expect(trial.figures(name)).to_contain_text(origin, timeout=LATER)
        expect(trial.figures(name)).to_contain_text("30 written")
        expect(trial.figures(name)).to_contain_text("began after")

    trial.figures("Left").get_by_role("button", name="Save as test case").click()
    case = trial.figures("Left").get_by_role("link", name="Its test case")
    expect(case).to_be_focused()
    expect(page.get_by_label("Test cases go to")).to_have_value(
        page.locator("#set option").first.get_attribute("value") or ""
    )

    page.reload()
    for name in ("Left", "Right"):
        expect(trial.answer(name)).to_have_text(tokens(30).strip(), timeout=LATER)
    expect(trial.figures("Left").get_by_role("link", name="Its test case")).to_be_visible()
    expect(trial.figures("Right").get_by_role("button", name="Save as test case")).to_be_visible()
    assert findings(page) == []
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(trial.figures("Right").get_by_role("button", name="Save as test case")).to_be_visible()
    assert "dark" in (page.locator("html").get_attribute("class") or "")
    assert findings(page) == []

    page.get_by_label("right", exact=True).check()
    trial.ask("Once more. [tokens=4]")
    expect(trial.answer("Right")).to_have_text(tokens(4).strip(), timeout=LATER)
    expect(trial.side("Left").locator(".message.user")).to_have_count(1)
    expect(trial.side("Right").locator(".message.user")).to_have_count(2)

    page.get_by_role("link", name="Start again").click()
    expect(page.get_by_text("Nothing was asked here yet.").first).to_be_visible()
    expect(page.get_by_label("What answers on the right")).to_have_value("version-1")
    trial.watched.open("/chat/")
    expect(page.get_by_role("navigation", name="Your conversations")).not_to_contain_text("Compare, please.")


def test_calls_are_seen_while_they_happen_and_the_person_answers_for_the_application(trial: Trial) -> None:
    page = trial.page
    page.get_by_label("What answers on the right").select_option("")
    expect(page.get_by_label("both")).to_be_disabled()
    trial.ask("What time is it? [tool=clock tokens=3]")
    left = trial.side("Left")
    expect(left.locator(".tool")).to_contain_text("Calling clock", timeout=LATER)
    expect(left.get_by_role("heading", name="What does clock return?")).to_be_visible(timeout=LATER)
    page.reload()
    expect(left.locator(".messages > :last-child")).to_contain_text("What does clock return?", timeout=LATER)
    expect(left.locator(".tool")).to_contain_text("Calling clock", timeout=LATER)
    expect(left.locator(".messages > :last-child")).to_contain_text("What does clock return?")
    left.get_by_label("Result of clock").fill('{"time": "<b>noon</b>"}')
    left.get_by_role("button", name="Give the result").click()
    expect(trial.answer("Left")).to_have_text(tokens(3).strip(), timeout=LATER)
    expect(left.get_by_role("form", name="Results of functions")).to_have_count(0)
    left.locator(".tool summary").click()
    expect(left.locator(".tool .came")).to_contain_text("<b>noon</b>")
    expect(trial.side("Right").locator(".message")).to_have_count(0)


def test_stop_ends_both_answers(trial: Trial, upstream: Upstream) -> None:
    key = unique()
    trial.ask(f"[tokens=500 hold=20 key={key}]")
    for name in ("Left", "Right"):
        expect(trial.answer(name)).to_contain_text("t19", timeout=LATER)
    trial.page.keyboard.press("Escape")
    for name in ("Left", "Right"):
        expect(trial.side(name).locator(".ending")).to_contain_text("Stopped.", timeout=LATER)
    eventually(lambda: upstream.stats(key)["aborted"] == 2, what="both of the engine's requests are closed")


def test_what_one_side_refuses_stays_in_the_box_for_it(trial: Trial) -> None:
    page = trial.page
    path = "**/v1/threads/runs"
    refusal = {"error": {"message": "Too much at once.", "type": "rate_limit", "param": None, "code": "busy"}}

    def refuse_version(route: Any) -> None:
        if route.request.headers.get("x-sovereign-version"):
            route.fulfill(status=400, json=refusal)
        else:
            route.continue_()

    page.route(path, refuse_version)
    trial.ask("Count. [tokens=4]")
    expect(trial.side("Right").get_by_role("alert")).to_have_text("Too much at once.", timeout=LATER)
    expect(trial.answer("Left")).to_have_text(tokens(4).strip(), timeout=LATER)
    expect(page.get_by_label("Your message")).to_have_value("Count. [tokens=4]")
    expect(page.get_by_label("right", exact=True)).to_be_checked()
    trial.watched.problems.clear()  # the refusal stands in the browser's log
    page.unroute(path)
    trial.ask("Count. [tokens=4]")
    expect(trial.answer("Right")).to_have_text(tokens(4).strip(), timeout=LATER)
    expect(trial.side("Left").locator(".message.user")).to_have_count(1)
