"""One thread in several tabs: what one of them does, the others show; and what waits is the same in all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, Watched, click_and_see
from tests.e2e.test_chat import answer, expect_rest, expect_whole, text_of
from tests.support.client import numbers, unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e

DELETE = """async (path) => {
  const { Api } = await import("/static/web/chat/api.js");
  const { csrf_cookie, project } = JSON.parse(document.getElementById("page").textContent);
  return (await new Api(csrf_cookie, project).delete(path)).deleted;
}"""


@pytest.fixture
def another(watched: Watched) -> Callable[[], Watched]:
    """Opens another tab on the conversation of the first."""

    def open_tab() -> Watched:
        other = Watched(watched.page.context.new_page(), watched.stack)
        other.page.goto(watched.page.url)
        other.expect_connected()
        return other

    return open_tab


def waiting(page: Page) -> list[str]:
    return [text_of(text) for text in page.locator("#queue .text").all()]


def questions(page: Page) -> list[str]:
    return [text_of(said) for said in page.locator(".message.user .body").all()]


def test_a_question_in_one_tab_is_answered_in_both(
    watched: Watched, upstream: Upstream, another: Callable[[], Watched]
) -> None:
    key = unique()
    watched.say("Begin. [tokens=3]")
    expect_whole(watched, 3)
    other = another()
    other.say(f"From there. [tokens=40 hold=15 key={key}]")
    for tab in (watched, other):
        expect(tab.page.locator(".message.user")).to_have_count(2, timeout=LATER)
        expect(answer(tab)).to_contain_text("t14", timeout=LATER)
        expect(tab.page.get_by_role("button", name="Stop the answer")).to_be_visible()
    upstream.release(key)
    for tab in (watched, other):
        expect_whole(tab, 40)
    watched.say("And from here. [tokens=4]")
    expect(other.page.locator(".message.assistant")).to_have_count(3, timeout=LATER)
    expect_whole(other, 4)
    assert questions(watched.page) == questions(other.page)
    assert other.problems == []


def test_what_is_written_meanwhile_waits_in_every_tab_and_is_sent_in_order(
    watched: Watched, upstream: Upstream, another: Callable[[], Watched]
) -> None:
    page, key = watched.page, unique()
    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)
    for text in ("Second. [tokens=3]", "Third. [tokens=4]", "Never. [tokens=5]"):
        watched.say(text)
        expect(page.get_by_label("Your message")).to_have_value("")
    expect(page.locator("#queue li")).to_have_count(3)
    expect(page.locator(".message.user")).to_have_count(1)

    other = another()
    expect(other.page.locator("#queue li")).to_have_count(3)
    row = other.page.locator("#queue li", has_text="Third.")
    row.get_by_role("button", name="Edit").click()
    row.get_by_label("The message that waits").fill("Third, changed. [tokens=6]")
    assert findings(other.page) == []
    row.get_by_role("button", name="Save").click()
    other.page.locator("#queue li", has_text="Never.").get_by_role("button", name="Withdraw").click()
    expect(page.locator("#queue li")).to_have_count(2)
    expect(page.locator("#queue li").last).to_contain_text("Third, changed.")
    page.locator("#queue li", has_text="Third, changed.").get_by_role("button", name="Earlier").click()
    expect(other.page.locator("#queue li").first).to_contain_text("Third, changed.")
    page.reload()
    expect(page.locator("#queue li")).to_have_count(2)
    assert waiting(page) == waiting(other.page)

    upstream.release(key)
    for tab in (watched, other):
        expect(tab.page.locator(".message.assistant")).to_have_count(3, timeout=LATER)
        expect(tab.page.locator("#queue")).to_be_hidden()
        expect_whole(tab, 3)
        assert [said.split(".")[0] for said in questions(tab.page)] == ["First", "Third, changed", "Second"]
    assert other.problems == []


def test_a_message_that_was_sent_while_it_was_changed_is_not_lost(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)
    watched.say("Second. [tokens=3]")
    page.locator("#queue").get_by_role("button", name="Edit").click()
    page.get_by_label("The message that waits").fill("Second, and more")
    upstream.release(key)
    expect(page.locator(".message.user")).to_have_count(2, timeout=LATER)
    expect(page.get_by_label("Your message")).to_have_value("Second, and more")
    expect_rest(watched)


def test_after_a_bad_answer_the_queue_is_held_and_goes_on_by_hand(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"First. [tokens=30 hold=5 drop=10 key={key}]")
    expect(answer(watched)).to_contain_text("t4", timeout=LATER)
    watched.say("Second. [tokens=3]")
    expect(page.locator("#queue li")).to_have_count(1)
    upstream.release(key)
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)
    expect(page.locator("#queue .note")).to_contain_text("Held, because the last answer failed.")
    page.locator("#queue").get_by_role("button", name="Send now").click()
    expect(page.locator(".message.assistant")).to_have_count(2, timeout=LATER)
    expect_whole(watched, 3)
    expect(page.locator("#queue")).to_be_hidden()


def test_a_broken_answer_keeps_its_text_is_continued_and_retried(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"Tell me. [tokens=30 drop=10 key={key}]")
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)
    page.get_by_role("button", name="Continue").click()  # this engine is asked to go on in words: ten tokens more
    expect(page.locator(".message.part")).to_have_count(1, timeout=LATER)
    expect_rest(watched)
    expect(page.locator(".ending:visible")).to_have_count(0)
    page.reload()
    expect(page.locator(".message.part")).to_have_count(1)
    expect(page.locator(".message.assistant")).to_have_count(2)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(page.locator(".message.assistant").get_by_role("button", name="Copy this message")).to_have_count(1)
    click_and_see(page.locator(".message.assistant").get_by_role("button", name="Copy this message"), "Copied")
    assert numbers(page.evaluate("navigator.clipboard.readText()")) == [*range(10), *range(10)]

    watched.say(f"Again. [tokens=30 drop=7 key={key}]")
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("button", name="An earlier try")).to_be_visible(timeout=LATER)
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)  # of the same script the same comes
    assert findings(page) == []
    for _ in range(2):  # and after a reload
        expect(page.locator(".message.assistant:visible")).to_have_count(2)
        expect(page.locator(".message.assistant")).to_have_count(4)
        page.get_by_role("button", name="An earlier try").click()
        expect(page.locator(".message.assistant:visible")).to_have_count(3)
        page.reload()


def test_a_thread_that_is_deleted_in_another_tab_is_told_and_what_was_typed_is_kept(
    watched: Watched, another: Callable[[], Watched]
) -> None:
    page = watched.page
    watched.say("Not for long. [tokens=3]")
    expect_whole(watched, 3)
    other = another()
    page.get_by_label("Your message").fill("What I wanted to say")
    thread = page.url.rsplit("/", 1)[-1]
    assert other.page.evaluate(DELETE, f"/v1/threads/{thread}") is True
    for tab in (watched, other):
        expect(tab.page.get_by_role("alert")).to_contain_text("was deleted")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your message")).to_have_value("What I wanted to say")
    page.goto("about:blank")  # it asks for nothing more
    watched.problems = [problem for problem in watched.problems if "status of 404" not in problem]
