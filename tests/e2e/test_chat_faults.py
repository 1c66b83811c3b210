"""What the chat shows is what is stored, whatever dies in the middle of an answer, in two tabs at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.e2e.conftest import LATER, Watched, profile_of, unbroken
from tests.e2e.test_chat import answer, expect_whole
from tests.e2e.test_chat_tabs import questions
from tests.support.client import unique
from tests.support.fixtures import Cluster, _stacks, started
from tests.support.processes import Stack, Upstream, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.fault]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, continuing_upstream: Upstream) -> Iterator[Cluster]:
    """An API process and two workers behind an engine that continues a cut answer."""
    stack = started(Stack(tmp_path_factory.mktemp("faults"), engine_url=continuing_upstream.url))
    try:
        stack.prepare(engines={continuing_upstream.model: continuing_upstream.url})
        made = Cluster(stack)
        made.heal()
        stack.client.assistant(name="Teller", model=continuing_upstream.model)
        yield made
    finally:
        stack.destroy()
        _stacks.remove(stack)


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, grown: Cluster) -> StorageState:
    context = profile_of(chromium, service_workers="block")
    Watched(context.new_page(), grown.stack).log_in()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def tabs(chromium: Browser, grown: Cluster, signed_in: StorageState) -> Iterator[tuple[Watched, Watched]]:
    """Two tabs; what fails in them because something was cut or killed is no problem."""
    grown.heal()
    context = profile_of(chromium, storage_state=signed_in, service_workers="block")
    made = Watched(context.new_page(), grown.stack), Watched(context.new_page(), grown.stack)
    made[0].page.goto(f"{grown.stack.url}/chat/?assistant={_teller(grown.stack)}")
    yield made
    problems = [problem for tab in made for problem in unbroken(tab.problems)]
    context.close()
    assert problems == []


def _teller(stack: Stack) -> str:
    [(assistant,)] = stack.database.rows("SELECT id FROM assistants_assistant WHERE name = 'Teller'")
    return str(assistant)


def stored(stack: Stack, thread: str) -> list[tuple[str, str]]:
    """Role and status of the thread's messages, in order."""
    rows = "SELECT role, status FROM threads_message WHERE thread_id = ? ORDER BY position"
    return [(role, status) for role, status in stack.database.rows(rows, thread)]


def expect_stored(stack: Stack, thread: str, answers: int) -> None:
    """So many questions and their answers, once the last one is stored: its text is shown before."""
    whole = [("user", "completed"), ("assistant", "completed")] * answers
    eventually(lambda: stored(stack, thread) == whole, what=f"{thread} has {whole}")


def join(tabs: tuple[Watched, Watched]) -> str:
    """The second tab opens the conversation of the first; its id."""
    one, other = tabs
    one.page.wait_for_url("**/chat/thread_*")
    other.page.goto(one.page.url)
    other.expect_connected()
    return one.page.url.rsplit("/", 1)[-1]


def run_of(stack: Stack, thread: str) -> str:
    [(run,)] = stack.database.rows("SELECT active_run_id FROM threads_thread WHERE id = ?", thread)
    return str(run)


def test_network_worker_and_server_are_lost_in_one_answer_and_no_token_is(
    tabs: tuple[Watched, Watched], grown: Cluster, continuing_upstream: Upstream
) -> None:
    one, _ = tabs
    key = unique()
    one.say(f"[tokens=200 rate=20 hold=150 key={key}]")
    expect(answer(one)).to_contain_text("t10 ", timeout=LATER)
    thread = join(tabs)

    one.page.context.set_offline(True)
    for tab in tabs:
        tab.drop_sockets()
    grown.worker_of(run_of(grown.stack, thread)).kill()
    expect(one.page.locator("#connection")).not_to_contain_text("Connected")
    one.page.context.set_offline(False)
    expect(answer(one)).to_contain_text("t60 ", timeout=LATER)

    assert grown.api is not None
    grown.api.kill()
    grown.heal()
    for tab in tabs:
        expect(answer(tab)).to_contain_text("t149", timeout=LATER)
    continuing_upstream.release(key)
    for tab in tabs:
        expect_whole(tab, 200)
    expect_stored(grown.stack, thread, 1)


def test_what_waits_survives_the_worker_and_is_sent_once(
    tabs: tuple[Watched, Watched], grown: Cluster, continuing_upstream: Upstream
) -> None:
    one, _ = tabs
    key = unique()
    one.say(f"One. [tokens=60 rate=20 hold=50 key={key}]")
    expect(answer(one)).to_contain_text("t5 ", timeout=LATER)
    thread = join(tabs)
    for text in ("Two. [tokens=3]", "Three. [tokens=4]"):
        one.say(text)
        expect(one.page.get_by_label("Your message")).to_have_value("")
    grown.worker_of(run_of(grown.stack, thread)).kill()
    continuing_upstream.release(key)
    for tab in tabs:
        expect(tab.page.locator(".message.assistant")).to_have_count(3, timeout=LATER)
        expect_whole(tab, 4)
        assert [said.split(".")[0] for said in questions(tab.page)] == ["One", "Two", "Three"]
    expect_stored(grown.stack, thread, 3)


def test_a_session_that_ends_in_mid_answer_is_told_and_the_answer_goes_on(
    tabs: tuple[Watched, Watched], grown: Cluster, continuing_upstream: Upstream
) -> None:
    one, other = tabs
    key = unique()
    one.page.context.clear_cookies()  # a session of its own: the other tests go on with theirs
    one.log_in(f"/chat/?assistant={_teller(grown.stack)}")
    one.say(f"[tokens=40 hold=20 key={key}]")
    expect(answer(one)).to_contain_text("t19", timeout=LATER)
    thread = join(tabs)
    one.page.get_by_label("Your message").fill("What I was about to say")
    session = next(cookie for cookie in one.page.context.cookies() if "session" in cookie["name"])
    grown.stack.database.end_session(session["value"])
    expect(one.page.get_by_role("alert")).to_contain_text("session has ended", timeout=LATER)
    expect(one.page.get_by_label("Your message")).to_have_value("What I was about to say")
    continuing_upstream.release(key)
    eventually(lambda: stored(grown.stack, thread)[-1:] == [("assistant", "completed")], what="the answer")

    other.log_in(f"/chat/{thread}")
    expect_whole(other, 40)
    expect(other.page.get_by_label("Your message")).to_have_value("")
    one.page.evaluate("window.dispatchEvent(new Event('online'))")  # as coming back to the tab does
    expect(one.page.get_by_role("alert")).to_be_hidden()
    one.expect_connected()
    expect_whole(one, 40)
    expect(one.page.get_by_label("Your message")).to_have_value("What I was about to say")
    for tab in tabs:
        tab.problems = [problem for problem in tab.problems if "status of 40" not in problem]
