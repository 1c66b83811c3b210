"""The other pages in a browser: nothing foreign is asked for, no policy is broken, and what matters is there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import TIMEOUT, Watched, expect_copied

pytestmark = pytest.mark.e2e


def test_the_front_page_shows_a_working_engine_and_copies_the_address(watched: Watched) -> None:
    page, stack = watched.page, watched.stack
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(stack.url)
    expect(page.locator("#engine")).to_have_attribute("data-state", "ready")
    page.get_by_role("button", name="Copy").first.click()
    expect_copied(page, f"{stack.url}/v1")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/docs", "Make an assistant"),
        ("/v1/assistants?order=asc", "Sovereign guide"),
        ("/admin/", "Newest runs"),
        ("/admin/assistants/assistant/?q=guide", "Sovereign guide"),
        ("/admin/assistants/assistant/add/", "Instructions"),
        ("/admin/runs/run/", "Runs"),
        ("/admin/runs/tooluse/", "Tool uses"),
        ("/admin/threads/thread/", "Threads"),
        ("/admin/inference/provider/", "Words may leave Sovereign for"),
        ("/admin/inference/provider/add/", "Kept encrypted"),
        ("/admin/inference/registeredmodel/", "Every name that requests may use"),
        ("/admin/inference/modelprice/add/", "For a million tokens"),
    ],
)
def test_pages_work_under_their_policy(path: str, shown: str, watched: Watched) -> None:
    open_page(watched, path, shown)


def test_redoc_works_and_its_badge_stays_away(watched: Watched) -> None:
    open_page(watched, "/redoc", "Make an assistant")
    for _ in range(TIMEOUT // 50):
        if any(problem.startswith("csp:") for problem in watched.problems):
            break
        watched.page.wait_for_timeout(50)
    watched.page.goto("about:blank")  # all that the browser says of it is said by now
    badge = [problem for problem in watched.problems if "cdn.redoc.ly" in problem]
    assert any(problem.startswith("csp:") for problem in badge)  # refused by the browser before anything was sent
    watched.problems = [problem for problem in watched.problems if problem not in badge]


def open_page(watched: Watched, path: str, shown: str) -> None:
    watched.page.goto(f"{watched.stack.url}{path}")
    expect(watched.page.get_by_text(shown).filter(visible=True).first).to_be_visible()
    watched.page.wait_for_load_state("networkidle")


def test_what_was_said_in_the_chat_is_read_in_the_admin(watched: Watched) -> None:
    page, stack = watched.page, watched.stack
    watched.say("Read me in the admin. [tokens=4]")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(page.locator(".message.assistant .body")).to_contain_text("t3")

    page.goto(f"{stack.url}/admin/")
    page.locator(".sv-runs a").first.click()
    expect(page.get_by_label("Events")).to_contain_text("run.completed")
    page.locator("text=Read me in the admin").first.click()
    conversation = page.get_by_role("region", name="Conversation")
    expect(conversation).to_contain_text("Read me in the admin.")
    expect(conversation).to_contain_text("t0 t1 t2 t3")
    page.goto(f"{stack.url}/admin/assistants/assistant/")
    page.locator("#result_list").get_by_role("link", name="Chat").first.click()
    expect(page.get_by_label("Your message")).to_be_visible()
