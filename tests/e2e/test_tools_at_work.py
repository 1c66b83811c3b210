"""Tools that really work behind the chat: code in the sandbox, and a real MCP server whose calls a person approves."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import LATER, Watched, choose_assistant
from tests.support.client import unique
from tests.support.interpreting import TOOL, asking_for, await_interpreter
from tests.support.mcp_processes import RealServer, real_server
from tests.support.processes import START_TIMEOUT, Stack, Upstream

pytestmark = pytest.mark.e2e

PLOT = """
import matplotlib.pyplot as plt
from pathlib import Path

print("six times seven:", 6 * 7)
plt.plot([1, 4, 9])
plt.show()
Path("/mnt/data/table.csv").write_text("a,b\\n")
"""
#: As an administrator: all tools of a server, which asks before every call, are given to an assistant.
REGISTER = """
import asyncio
from assistants.catalog.services import allow_tools, create_server, refresh_listing
from assistants.models import Assistant
from sovereign.accounts.principals import Principal
from sovereign.accounts.models import User
from sovereign.accounts.scopes import ALL_SCOPES

assistant = Assistant.objects.get(pk={assistant!r})
admin = Principal(project_id=assistant.project_id, user_id=User.objects.get().pk, scopes=ALL_SCOPES)
made = create_server(principal=admin, label={label!r}, url={url!r}, inner_network=True)
tools = {{tool.name: tool.digest for tool in asyncio.run(refresh_listing(made.pk)).tools}}
allow_tools(principal=admin, server_id=made.pk, allowed=tools)
assistant.server_tools = [{{"type": "mcp", "server_id": made.pk, "tools": None}}]
assistant.save()
"""


@pytest.fixture(scope="module")
def harbour(live_server_process: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server of the official SDK, whose tools the assistant "Harbour master" has."""
    with real_server(tmp_path_factory.mktemp("mcp"), "mcp-2") as server:
        assistant = live_server_process.client.assistant(name="Harbour master")
        code = REGISTER.format(assistant=assistant, label="harbour", url=server.url)
        registering = live_server_process.start("shell", "-c", code)
        assert registering.wait(START_TIMEOUT) == 0, registering.output()
        yield server


def ask(watched: Watched, assistant: str, text: str) -> Page:
    page = watched.page
    page.reload()
    choose_assistant(page, assistant)
    watched.say(text)
    return page


def open_run(watched: Watched) -> Page:
    """The newest run of the conversation in the admin, in a page of its own."""
    page = watched.page.context.new_page()
    page.goto(f"{watched.stack.url}/admin/runs/run/?q={watched.page.url.rsplit('/', 1)[1]}")
    page.locator("#result_list tbody a").first.click()
    return page


def test_code_runs_and_the_person_sees_what_it_drew_and_gets_its_file(watched: Watched, upstream: Upstream) -> None:
    await_interpreter(watched.stack)
    watched.stack.client.assistant(name="Analyst", tools=[TOOL])
    question = asking_for(upstream, unique(), PLOT, "text=Here:sandbox:/mnt/data/table.csv")
    page = ask(watched, "Analyst", question)
    card, answer = page.locator(".tool"), page.locator(".message.assistant")
    expect(answer.locator(".body")).to_contain_text("Here:table.csv", timeout=LATER)
    expect(card.locator("summary")).to_contain_text(" s")
    for _ in range(2):  # as it came, and as it is found again
        assert answer.locator("img").evaluate("async (image) => { await image.decode(); return image.naturalWidth; }")
        card.locator("summary").click()
        expect(card.get_by_label("Python code")).to_contain_text("plt.plot([1, 4, 9])")
        expect(card.get_by_label("What the code printed").first).to_contain_text("six times seven: 42")
        page.reload()
        expect(card.locator("summary")).to_contain_text("Ran code")
    with page.expect_download() as download:
        answer.locator("a.download", has_text="table.csv").click()
    assert download.value.suggested_filename == "table.csv"

    admin = open_run(watched)
    steps = admin.get_by_label("Steps")
    expect(steps).to_contain_text("six times seven: 42")
    assert steps.locator("img").evaluate("async (image) => { await image.decode(); return image.naturalWidth; }")


def test_code_that_raises_an_error_is_not_shown_as_done(watched: Watched, upstream: Upstream) -> None:
    await_interpreter(watched.stack)
    watched.stack.client.assistant(name="Divider", tools=[TOOL])
    page = ask(watched, "Divider", asking_for(upstream, unique(), "1 / 0"))
    for _ in range(2):  # as it came, and as it is found again
        card = page.locator(".tool[data-state=failed]")
        expect(card.locator("summary")).to_contain_text("raised an error", timeout=LATER)
        page.reload()
    expect(open_run(watched).get_by_label("Steps")).to_contain_text("Raised an error")


def test_a_call_is_approved_after_a_reload_and_then_made_once(watched: Watched, harbour: RealServer) -> None:
    place = unique()
    page = ask(watched, "Harbour master", f"Look. [tool=harbour__look with=at:{place} tokens=3]")
    card = page.get_by_role("form", name="Approval")
    expect(card).to_contain_text("May the assistant use look of harbour?", timeout=LATER)
    expect(page.locator("#spoken")).to_contain_text("whether it may use look of harbour")
    expect(page.locator(".tool summary")).to_contain_text("Wants to call harbour__look")
    page.reload()
    expect(card.get_by_label("What it would be given")).to_contain_text(place)
    assert harbour.calls("look") == []
    card.get_by_label("Reason for a refusal").press("Escape")  # stops nothing …
    page.get_by_role("button", name="Assistant:").click()
    page.keyboard.press("Escape")  # … and closes what is open
    expect(page.get_by_role("dialog", name="Choose an assistant")).to_be_hidden()
    card.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".message.assistant .body")).to_contain_text("t2", timeout=LATER)
    expect(card).to_have_count(0)
    assert [call["at"] for call in harbour.calls("look")] == [place]
    page.locator(".tool summary").click()
    expect(page.locator(".tool").get_by_label("Result")).to_contain_text(f"{place} looks well.")


def test_a_call_is_refused_in_the_admin_and_the_chat_goes_on(watched: Watched, harbour: RealServer) -> None:
    before = len(harbour.calls("look"))
    page = ask(watched, "Harbour master", "Look. [tool=harbour__look with=at:sea tokens=3]")
    expect(page.get_by_role("form", name="Approval")).to_be_visible(timeout=LATER)
    admin = open_run(watched)
    waits = admin.get_by_label("Waits for approval")
    expect(waits).to_contain_text(json.dumps({"at": "sea"}, indent=2))
    waits.get_by_label("Refuse").check()
    waits.get_by_label("Reason for a refusal").fill("Too foggy")
    waits.get_by_role("button", name="Send").click()
    expect(admin.get_by_text("Answered: the run goes on.")).to_be_visible()
    expect(page.get_by_role("form", name="Approval")).to_have_count(0)
    expect(page.locator(".message.assistant .body")).to_contain_text("t2", timeout=LATER)
    expect(page.locator(".tool summary")).to_contain_text("refused")
    page.locator(".tool summary").click()
    expect(page.locator(".tool").get_by_label("Result")).to_contain_text("Too foggy")
    assert len(harbour.calls("look")) == before
