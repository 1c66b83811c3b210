"""Thumbs under answers, and the choice of which version answers, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import LATER, Watched, choose_assistant
from tests.e2e.test_chat import answer, expect_rest, expect_whole
from tests.support.client import unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e


def thumb(watched: Watched, name: str) -> Locator:
    """A button under the newest answer."""
    group = watched.page.get_by_role("group", name="Rate this answer").last
    return group.get_by_role("button", name=name)


def feedback_of(watched: Watched) -> list[dict[str, Any]]:
    """What the server keeps of the newest answer's run."""
    run_id = watched.page.locator(".message.assistant").last.get_attribute("data-run")
    answer = watched.page.request.get(f"{watched.stack.url}/api/v1/runs/{run_id}/feedback")
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def ratings(watched: Watched) -> list[str]:
    return [said["rating"] for said in feedback_of(watched)]


def test_an_answer_is_rated_once_it_is_there_and_the_rating_is_found_again(
    watched: Watched, upstream: Upstream
) -> None:
    page, key = watched.page, unique()
    watched.say(f"[tokens=20 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)
    expect(page.get_by_role("group", name="Rate this answer")).to_have_count(0)
    upstream.release(key)
    expect_whole(watched, 20)

    expect(thumb(watched, "Good answer")).to_have_attribute("aria-pressed", "false")
    with page.expect_response("**/feedback"):
        thumb(watched, "Good answer").click()
    expect(thumb(watched, "Good answer")).to_have_attribute("aria-pressed", "true")
    assert ratings(watched) == ["up"]

    page.reload()
    expect(thumb(watched, "Good answer")).to_have_attribute("aria-pressed", "true")
    expect(thumb(watched, "Bad answer")).to_have_attribute("aria-pressed", "false")
    with page.expect_response("**/feedback"):
        thumb(watched, "Good answer").click()
    expect(thumb(watched, "Good answer")).to_have_attribute("aria-pressed", "false")
    assert ratings(watched) == [], "pressed again, it is taken back"


def test_what_was_wrong_is_said_with_the_keyboard(watched: Watched) -> None:
    page = watched.page
    watched.say("[tokens=3]")
    expect_whole(watched, 3)
    thumb(watched, "Bad answer").focus()
    with page.expect_response("**/feedback"):
        page.keyboard.press("Enter")
    expect(thumb(watched, "Bad answer")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("What was wrong?").fill("<b>Far</b> too short.")
    with page.expect_response("**/feedback"):
        page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Rate this answer")).to_contain_text("Thank you.")
    expect(page.locator("#spoken")).to_contain_text("Thank you.")
    given = [("down", "<b>Far</b> too short.")]
    assert [(said["rating"], said["comment"]) for said in feedback_of(watched)] == given
    page.reload()
    expect(page.get_by_label("What was wrong?")).to_have_value("<b>Far</b> too short.")


def test_each_answer_has_its_own_thumbs(watched: Watched) -> None:
    page = watched.page
    for count in (1, 2):
        watched.say("[tokens=3]")
        expect(page.get_by_role("group", name="Rate this answer")).to_have_count(count, timeout=LATER)
        expect_rest(watched)
    with page.expect_response("**/feedback"):
        thumb(watched, "Bad answer").click()
    pressed = page.locator(".thumb[aria-pressed=true]")
    expect(pressed).to_have_count(1)
    page.reload()
    expect(page.get_by_role("group", name="Rate this answer")).to_have_count(2)
    expect(page.locator(".message.assistant").last.locator(".thumb[aria-pressed=true]")).to_have_count(1)
    expect(pressed).to_have_count(1)


def test_a_rating_that_was_refused_is_not_shown_as_given(watched: Watched) -> None:
    watched.say("[tokens=3]")
    expect_whole(watched, 3)
    refusal = {"error": {"message": "Not today.", "type": "invalid_request_error", "param": None, "code": None}}
    watched.page.route("**/feedback", lambda route: route.fulfill(status=429, json=refusal))
    thumb(watched, "Good answer").click()
    expect(watched.page.get_by_role("alert")).to_contain_text("Not today.")
    expect(thumb(watched, "Good answer")).to_have_attribute("aria-pressed", "false")
    watched.problems[:] = [problem for problem in watched.problems if "429" not in problem]


def test_a_thread_goes_on_with_the_environment_that_was_chosen(watched: Watched) -> None:
    page, name = watched.page, f"Undeployed {unique()}"
    watched.stack.client.assistant(name=name)
    page.reload()
    choose_assistant(page, name)
    choice = page.get_by_label("Which version answers")
    expect(choice).to_have_value("production")
    expect(choice.locator("option").first).to_have_text("Production: draft")
    expect(choice.locator("option").nth(1)).to_have_text("Staging: nothing deployed")
    choice.select_option(label="Draft")
    with page.expect_request("**/v1/threads/runs") as sent:
        watched.say("[tokens=3]")
    assert sent.value.headers["x-sovereign-environment"] == "draft"
    expect_whole(watched, 3)
    made = page.locator(".message.assistant .origin")
    expect(made).to_have_text("Draft")
    page.reload()
    expect(made).to_have_text("Draft")
    expect(choice).to_have_value("draft")
    page.get_by_role("link", name="New conversation").click()
    expect(choice).to_have_value("production")


@pytest.mark.parametrize("width", [360, 768])
def test_the_head_fits_small_screens(width: int, watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 740})
    watched.say("[tokens=3]")
    expect_whole(watched, 3)
    thumb(watched, "Bad answer").click()
    expect(page.get_by_label("What was wrong?")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('.talk-head').scrollWidth") <= width
