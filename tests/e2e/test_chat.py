"""A person talks to the demo assistant: real server, real worker, real browser; the engine alone is scripted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import LATER, Watched, choose_assistant, painted, unbroken
from tests.support.client import tokens, unique
from tests.support.processes import Upstream, eventually

pytestmark = pytest.mark.e2e


def answer(watched: Watched) -> Locator:
    """The newest answer's text."""
    return watched.page.locator(".message.assistant .body").last


def text_of(locator: Locator) -> str:
    return (locator.text_content() or "").strip()


def expect_rest(watched: Watched) -> None:
    """Nothing is being written."""
    expect(watched.page.get_by_role("button", name="Send")).to_be_visible(timeout=LATER)


def expect_whole(watched: Watched, count: int) -> None:
    """The answer has every token once and in order."""
    expect_rest(watched)
    expect(answer(watched)).to_have_text(tokens(count).strip(), timeout=LATER)


def test_somebody_talks_to_the_demo_assistant_and_finds_the_answer_again(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    choose_assistant(page, "Sovereign guide")
    expect(page.get_by_role("heading", name="Sovereign guide")).to_be_visible()
    watched.say(f"Count, please. [tokens=40 hold=12 key={key}]")

    expect(answer(watched)).to_contain_text("t11", timeout=LATER)  # streamed: the rest is not even made yet
    expect(answer(watched)).not_to_contain_text("t12")
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/chat/thread_\w+$"))
    expect(page.locator("#connection")).to_contain_text("Connected")
    expect(page.get_by_role("navigation", name="Your conversations")).to_contain_text("Count, please.")

    upstream.release(key)
    expect_whole(watched, 40)
    expect(page.locator("#spoken")).to_contain_text("t39")

    page.reload()
    expect(answer(watched)).to_contain_text("t39")
    expect_whole(watched, 40)
    expect(page.locator(".message.user")).to_have_count(1)

    watched.say("And once more. [tokens=5]")
    expect(page.locator(".message.assistant")).to_have_count(2)
    expect_whole(watched, 5)
    assert [text_of(said).startswith("t0") for said in page.locator(".message .body").all()] == [False, True] * 2


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stop_really_stops_the_engine(by: str, watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    watched.say(f"[tokens=2000 hold=20 key={key}]")
    expect(answer(watched)).to_contain_text("t19", timeout=LATER)
    if by == "button":
        page.get_by_role("button", name="Stop the answer").click()
    else:
        page.keyboard.press("Escape")

    expect(page.locator(".ending")).to_contain_text("Stopped.", timeout=LATER)
    expect_whole(watched, 20)
    eventually(lambda: upstream.stats(key)["aborted"] == 1, what="the engine's request is closed")
    expect(page.get_by_label("Your message")).to_be_focused()

    page.reload()
    expect(page.locator(".ending")).to_have_count(1)
    expect_whole(watched, 20)
    watched.say("[tokens=3]")
    expect(page.locator(".message.assistant")).to_have_count(2)
    expect_whole(watched, 3)


def test_an_answer_that_still_runs_goes_on_after_a_reload(watched: Watched, upstream: Upstream) -> None:
    key = unique()
    watched.say(f"[tokens=60 hold=30 key={key}]")
    expect(answer(watched)).to_contain_text("t29", timeout=LATER)
    watched.page.reload()
    expect(answer(watched)).to_contain_text("t29", timeout=LATER)
    expect(watched.page.get_by_role("button", name="Stop the answer")).to_be_visible()
    upstream.release(key)
    expect_whole(watched, 60)


def test_every_token_is_shown_once_across_lost_connections(watched: Watched, upstream: Upstream) -> None:
    key = unique()
    watched.say(f"[tokens=150 rate=60 hold=100 key={key}]")
    for seen in (10, 50, 90):
        expect(answer(watched)).to_contain_text(f"t{seen} ", timeout=LATER)
        watched.cut_connection()
    assert len(watched.sockets) >= 4
    upstream.release(key)
    expect_whole(watched, 150)


def test_two_tabs_show_the_same_answer(watched: Watched, upstream: Upstream) -> None:
    key = unique()
    watched.say(f"[tokens=40 hold=15 key={key}]")
    expect(answer(watched)).to_contain_text("t14", timeout=LATER)
    other = Watched(watched.page.context.new_page(), watched.stack)
    other.page.goto(watched.page.url)
    expect(answer(other)).to_contain_text("t14", timeout=LATER)
    upstream.release(key)
    expect_whole(watched, 40)
    expect_whole(other, 40)
    assert other.problems == []


def test_a_failed_answer_is_told_and_can_be_tried_again(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()

    def asked() -> int:
        return len(upstream.stats(key)["requests"])

    watched.say(f"[error=500 key={key}]")
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)
    expect_rest(watched)
    before = asked()
    page.get_by_role("button", name="Retry").click()
    eventually(lambda: asked() > before, what="the engine is asked again")
    expect_rest(watched)
    expect(page.locator(".ending.bad")).to_be_visible(timeout=LATER)


def test_what_was_typed_is_kept(watched: Watched) -> None:
    page = watched.page
    box = page.get_by_label("Your message")
    box.fill("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    expect(box).to_have_value("first line\nsecond line")
    page.reload()
    expect(box).to_have_value("first line\nsecond line")
    watched.expect_sendable()
    expect(painted(page).get_by_label("Your message")).to_be_focused()

    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(box).to_have_value("first line\nsecond line")
    page.context.set_offline(False)
    page.keyboard.press("Enter")
    expect(page.locator(".message.user")).to_have_count(1)
    expect_whole(watched, 10)
    watched.problems = unbroken(watched.problems)


def test_scripts_in_names_and_messages_stay_text(watched: Watched) -> None:
    evil = f"<img src=x onerror=alert(1)><script>alert(2)</script>{unique()}"
    watched.stack.client.assistant(name=evil, description=evil)
    page = watched.page
    page.reload()
    choose_assistant(page, evil)
    expect(page.locator("#welcome-name")).to_have_text(evil)
    watched.say(f"{evil}\n```html\n{evil}\n```\n[tokens=3]")
    expect_whole(watched, 3)
    assert evil in text_of(page.locator(".message.user").last)
    assert page.locator(".talk img, .talk script").count() == 0
    page.reload()
    expect(page.locator(".message.user")).to_contain_text("<script>")


def test_a_phone_has_the_conversations_in_a_drawer(watched: Watched) -> None:
    page = watched.page
    watched.say("From the phone. [tokens=3]")
    expect_whole(watched, 3)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Conversations", exact=True).click()
    drawer = page.get_by_role("navigation", name="Your conversations")
    expect(drawer.get_by_role("link", name="From the phone.").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_visible()
    page.get_by_role("button", name="Conversations", exact=True).click()
    page.get_by_role("link", name="New conversation").click()
    page.wait_for_url("**/chat/")


def test_a_session_that_ended_is_told(watched: Watched) -> None:
    page = watched.page
    watched.say("[tokens=3]")
    expect_whole(watched, 3)
    page.context.clear_cookies()
    watched.say("Still there?")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    expect(page.get_by_label("Your message")).to_have_value("Still there?")
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    page.goto("about:blank")  # it asks for nothing more
    watched.problems = [problem for problem in watched.problems if "status of 40" not in problem]


def test_the_server_may_die_in_the_middle_of_an_answer(watched: Watched, upstream: Upstream) -> None:
    stack, key = watched.stack, unique()
    watched.say(f"[tokens=40 hold=20 key={key}]")
    expect(answer(watched)).to_contain_text("t19", timeout=LATER)
    stack.server.kill()
    expect(watched.page.locator("#connection")).to_contain_text("Connection lost")
    assert text_of(answer(watched)) == tokens(20).strip()

    stack.up()
    expect(watched.page.locator("#connection")).to_contain_text("Connected", timeout=LATER)
    ending = watched.page.locator(".ending.bad")  # this engine cannot go on with a cut answer: so it is told
    expect(ending).to_be_visible(timeout=LATER)
    expect_whole(watched, 20)
    upstream.release(key)
    watched.say("[tokens=3]")
    expect(watched.page.locator(".message.assistant")).to_have_count(2)
    expect_whole(watched, 3)
    watched.problems = unbroken(watched.problems)


def test_where_no_websocket_gets_through_the_answer_still_comes(watched: Watched, upstream: Upstream) -> None:
    page, key, streams = watched.page, unique(), list[str]()
    page.route_web_socket("**/ws/**", lambda socket: socket.close(code=1001))
    page.on("request", lambda request: streams.append(request.url) if "stream=true" in request.url else None)
    page.reload()
    watched.say(f"[tokens=60 rate=20 hold=40 key={key}]")
    expect(page.locator("#connection")).to_have_text("Connected, over HTTP", timeout=LATER)
    expect(answer(watched)).to_contain_text("t39", timeout=LATER)
    page.reload()
    expect(answer(watched)).to_contain_text("t39", timeout=LATER)
    upstream.release(key)
    expect_whole(watched, 60)
    assert len(streams) >= 2

    other = Watched(page.context.new_page(), watched.stack)
    other.page.goto(page.url)
    other.say("[tokens=5]")  # which the page without a socket is told, too
    expect(page.locator(".message.assistant")).to_have_count(2, timeout=LATER)
    expect_whole(watched, 5)


def test_a_function_call_is_shown_and_can_be_stopped(watched: Watched) -> None:
    page = watched.page
    function = {"name": "look_up", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    watched.stack.client.assistant(name="Caller", tools=[{"type": "function", "function": function}])
    page.reload()
    choose_assistant(page, "Caller")
    watched.say("What about Bonn? [tool=look_up]")
    expect(page.locator(".tool")).to_contain_text("look_up", timeout=LATER)
    expect(page.locator("#engine-note")).to_contain_text("waits for the result of look_up")
    page.reload()
    expect(page.locator(".tool")).to_contain_text("look_up", timeout=LATER)
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.locator(".ending")).to_contain_text("Stopped.", timeout=LATER)
    expect_rest(watched)
