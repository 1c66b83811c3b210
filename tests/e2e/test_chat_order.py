"""Nothing of what people write in the chat overtakes, gets lost or goes to somebody else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, Watched, choose_assistant
from tests.e2e.test_chat import answer, expect_rest, expect_whole, text_of
from tests.e2e.test_chat_tabs import questions, waiting
from tests.e2e.test_chat_threads import choose, entry
from tests.support.client import numbers, unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e


def test_a_tab_that_has_not_heard_of_the_queue_does_not_overtake_it(watched: Watched, upstream: Upstream) -> None:
    key = unique()
    watched.say("Begin. [tokens=3]")
    expect_whole(watched, 3)
    deaf = Watched(watched.page.context.new_page(), watched.stack)
    deaf.page.route_web_socket("**/ws/**", lambda socket: None)  # open, and silent
    deaf.page.goto(watched.page.url)
    expect(deaf.page.locator(".message.assistant")).to_have_count(1)

    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)
    watched.say("Second. [tokens=4]")
    expect(watched.page.locator("#queue li")).to_have_count(1)
    deaf.say("Third. [tokens=5]")
    expect(deaf.page.locator("#queue li")).to_have_count(2)
    expect(deaf.page.get_by_label("Your message")).to_have_value("")
    expect(watched.page.locator("#queue li")).to_have_count(2)
    assert [text.split(".")[0] for text in waiting(deaf.page)] == ["Second", "Third"]

    upstream.release(key)
    expect(watched.page.locator(".message.assistant")).to_have_count(4, timeout=LATER)
    expect_whole(watched, 5)
    assert [said.split(".")[0] for said in questions(watched.page)] == ["Begin", "First", "Second", "Third"]
    assert deaf.problems == []


def test_a_message_goes_to_whom_it_was_written(watched: Watched, upstream: Upstream) -> None:
    page, key, name = watched.page, unique(), f"Other {unique()}"
    other = watched.stack.client.assistant(name=name)
    page.reload()
    watched.say("Begin. [tokens=3]")
    expect_whole(watched, 3)
    held: list[Route] = []
    page.route("**/ask", lambda route: held.append(route))
    with page.expect_request("**/ask"):
        watched.say(f"First. [tokens=30 hold=10 key={key}]")
    choose_assistant(page, name)
    watched.say("Second. [tokens=3]")
    expect(page.get_by_label("Your message")).to_have_value("")
    choose_assistant(page, "Sovereign guide")
    with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/queue.json")) as sent:
        held[0].continue_()
    assert json.loads(sent.value.post_data or "")["assistant_id"] == other
    expect(page.locator("#queue li")).to_have_count(1)
    upstream.release(key)
    expect(page.locator(".message.assistant")).to_have_count(3, timeout=LATER)
    expect_whole(watched, 3)
    bylines = [text_of(by) for by in page.locator(".message.assistant .by").all()]
    assert [by.startswith(name) for by in bylines] == [False, False, True]


def test_what_was_changed_of_a_message_that_waits_is_kept(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)
    watched.say("Second. [tokens=3]")
    row, box = page.locator("#queue li"), page.get_by_label("The message that waits")
    kept = row.get_by_text("You have changed this and not saved it.")
    expect(kept).to_be_hidden()
    row.get_by_role("button", name="Edit").click()
    box.fill("Second, and more. [tokens=4]")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(kept).to_be_visible()
    expect(row.get_by_role("button", name="Edit")).to_be_focused()
    expect(page.get_by_role("button", name="Stop the answer")).to_be_enabled()
    assert findings(page) == []

    page.reload()
    expect(kept).to_be_visible()
    row.get_by_role("button", name="Edit").click()
    expect(box).to_have_value("Second, and more. [tokens=4]")
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Edit").click()
    row.get_by_role("button", name="Cancel").click()
    expect(kept).to_be_hidden()
    row.get_by_role("button", name="Edit").click()
    expect(box).to_have_value("Second. [tokens=3]")
    box.fill("Third. [tokens=3]")
    box.fill("Second. [tokens=3]")  # which is no change
    page.keyboard.press("Escape")
    page.reload()
    expect(row).to_be_visible()
    expect(kept).to_be_hidden()
    row.get_by_role("button", name="Edit").click()
    box.fill("Otherwise")
    page.keyboard.press("Escape")
    upstream.release(key)
    expect(page.locator(".message.user")).to_have_count(2, timeout=LATER)
    expect(page.get_by_label("Your message")).to_have_value("Otherwise")  # it was sent as it had been
    expect_rest(watched)


def test_a_message_that_waits_though_nobody_heard_so_is_not_sent_twice(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)

    def lose(route: Route) -> None:
        route.fetch()
        route.fulfill(status=502)

    page.route("**/queue.json", lose)
    watched.say("Second. [tokens=3]")
    expect(page.get_by_role("alert")).to_be_visible(timeout=LATER)
    expect(page.get_by_label("Your message")).to_have_value("Second. [tokens=3]")
    page.unroute("**/queue.json")
    upstream.release(key)
    expect(page.locator(".message.assistant")).to_have_count(2, timeout=LATER)
    expect_whole(watched, 3)
    page.get_by_label("Your message").press("Enter")
    expect(page.get_by_label("Your message")).to_have_value("")
    expect_rest(watched)
    expect(page.locator("#queue li")).to_have_count(0)
    assert [said.split(".")[0] for said in questions(page)] == ["First", "Second"]

    watched.say("Second. [tokens=3]")  # said once more on purpose
    expect(page.locator(".message.assistant")).to_have_count(3, timeout=LATER)
    expect_rest(watched)
    watched.problems = [problem for problem in watched.problems if "status of 502" not in problem]


def test_what_is_saved_too_late_is_not_lost(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(answer(watched)).to_contain_text("t9", timeout=LATER)
    watched.say("Second. [tokens=3]")
    page.locator("#queue li").get_by_role("button", name="Edit").click()
    page.get_by_label("The message that waits").fill("Second, and more.")
    held: list[Route] = []
    page.route(re.compile(r"/queue/[^/]+$"), lambda route: held.append(route))
    with page.expect_request(re.compile(r"/queue/[^/]+$")):
        page.keyboard.press("Enter")
    upstream.release(key)
    expect(page.locator(".message.assistant")).to_have_count(2, timeout=LATER)
    expect(page.locator("#queue li")).to_have_count(0)
    expect(page.get_by_label("Your message")).to_have_value("")
    held[0].continue_()
    expect(page.get_by_label("Your message")).to_have_value("Second, and more.")
    expect_rest(watched)
    watched.problems = [problem for problem in watched.problems if "status of 404" not in problem]


def test_what_a_comparison_cannot_take_yet_stays_in_its_box(watched: Watched, upstream: Upstream) -> None:
    name, key = f"Other {unique()}", unique()
    watched.stack.client.assistant(name=name)
    page = watched.open("/chat/compare")
    sides = [page.locator("[data-side=left]"), page.locator("[data-side=right]")]
    for side, label in zip(sides, ["Sovereign guide", name], strict=True):
        side.get_by_role("combobox").select_option(label=label)
    watched.say("Begin. [tokens=3]")
    for side in sides:
        expect(side.locator(".message.assistant")).to_contain_text("t2", timeout=LATER)
    expect_rest(watched)  # who hears nothing would wait for the end for ever
    deaf = Watched(page.context.new_page(), watched.stack)
    deaf.page.route_web_socket("**/ws/**", lambda socket: None)  # open, and silent
    deaf.page.goto(page.url)
    expect(deaf.page.locator(".message.assistant")).to_have_count(2)

    page.get_by_role("radio", name="Left").check()
    watched.say(f"First. [tokens=30 hold=10 key={key}]")
    expect(sides[0].locator(".message.assistant").last).to_contain_text("t9", timeout=LATER)
    deaf.page.get_by_role("radio", name="Left").check()
    deaf.say("Second. [tokens=4]")
    expect(deaf.page.locator("[data-side=left]")).to_contain_text("Your text is kept.")
    expect(deaf.page.get_by_label("Your message")).to_have_value("Second. [tokens=4]")
    upstream.release(key)
    expect(sides[0].locator(".message.assistant").last).to_contain_text("t29", timeout=LATER)
    expect(sides[0].locator(".message.user")).to_have_count(2)
    deaf.problems = [problem for problem in deaf.problems if "status of 400" not in problem]
    assert deaf.problems == []


def test_an_answer_that_was_continued_is_one_on_branches_too(watched: Watched) -> None:
    page = watched.page
    watched.say(f"Tell me. [tokens=30 drop=10 key={unique()}]")
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)
    page.get_by_role("button", name="Continue").click()

    def expect_one() -> None:
        shown = page.locator(".message.assistant:visible")
        expect(page.locator(".message.part")).to_have_count(1, timeout=LATER)
        expect(shown.first.locator(".said:not(.plain)")).to_have_count(1)
        assert numbers(text_of(shown.first.locator(".body"))) == [*range(10), *range(10)]
        expect(shown.first.locator(".by")).to_be_visible()

    expect_one()
    expect_rest(watched)
    page.reload()
    expect_one()
    watched.say("And then? [tokens=3]")
    expect_whole(watched, 3)
    first = page.url
    page.locator(".message.user").last.get_by_role("button", name="Edit, on a branch").click()
    page.get_by_role("textbox", name="Your message, otherwise").fill("Or else? [tokens=4]")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != first and "/thread_" in url)
    expect_whole(watched, 4)
    expect_one()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy = page.locator(".message.assistant:visible").first.get_by_role("button", name="Copy this message")
    copy.click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('t9')")
    assert numbers(page.evaluate("navigator.clipboard.readText()")) == [*range(10), *range(10)]


def attached(page: Page, side: str) -> Any:
    return page.locator(f"[data-side={side}] .message.user .chip")


def test_two_assistants_are_given_the_same_files_and_the_keys_work(watched: Watched, tmp_path: Path) -> None:
    page, names = watched.page, [f"Reader {unique()}", f"Reader {unique()}", f"Blind {unique()}"]
    for name in names:
        tools = [] if name.startswith("Blind") else [{"type": "file_search"}]
        watched.stack.client.assistant(name=name, tools=tools)
    watched.open("/chat/compare")
    left, right = page.locator("[data-side=left]"), page.locator("[data-side=right]")
    left.get_by_role("combobox").select_option(label=names[0])
    right.get_by_role("combobox").select_option(label=names[2])
    (tmp_path / "plan.md").write_text("The plan.")
    page.locator("#files").set_input_files(tmp_path / "plan.md")
    tray = page.get_by_role("list", name="Files that go with the message")
    expect(tray).to_contain_text("Not both of these assistants can use this file.")
    right.get_by_role("combobox").select_option(label=names[1])
    expect(tray.get_by_role("button", name="Remove: plan.md")).to_be_visible()
    expect(tray).not_to_contain_text("Not both")
    page.get_by_label("Your message").fill("What is the plan? [tokens=3]")
    page.reload()
    left.get_by_role("combobox").select_option(label=names[0])
    right.get_by_role("combobox").select_option(label=names[1])
    expect(tray).to_contain_text("plan.md")
    assert findings(page) == []
    page.get_by_role("button", name="Send").click()
    for side in ("left", "right"):
        expect(attached(page, side)).to_contain_text("plan.md")
        expect(page.locator(f"[data-side={side}] .message.assistant")).to_contain_text("t2", timeout=LATER)
    expect(tray).to_be_hidden()

    page.locator("#main").focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    page.keyboard.press("i")
    expect(page.get_by_label("Your message")).to_be_focused()


def test_what_was_deleted_can_be_had_back_as_long_as_the_server_keeps_it(watched: Watched) -> None:
    page, titles = watched.page, [unique(), unique()]
    for title in titles:
        watched.open("/chat/")
        watched.say(f"{title} [tokens=3]")
        expect_whole(watched, 3)
    watched.open("/chat/")
    for title in titles:
        choose(page, title, "Delete")
        expect(page.locator(".toast", has_text=title)).to_contain_text(re.compile(r"Until \d+:\d\d"))
    watched.open("/chat/compare")  # the way back goes along
    toasts = page.locator(".toast")
    expect(toasts).to_have_count(2)
    toasts.filter(has_text=titles[0]).get_by_role("button", name="Undo").click()
    expect(entry(page, titles[0])).to_be_visible()
    toasts.filter(has_text=titles[1]).get_by_role("button", name="Close this message").click()
    expect(toasts).to_have_count(0)
    page.reload()
    expect(entry(page, titles[0])).to_be_visible()
    expect(toasts).to_have_count(0)
