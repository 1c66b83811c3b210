"""A whole day of an analyst with the starter model in vLLM: at the desk, on a phone, in the dark, by keys alone."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from inference.engines.installation import engine_python
from tests.e2e.conftest import Watched, choose_assistant, profile_of
from tests.support.fixtures import started
from tests.support.museum import DESK, FIRST, HANDBOOK, QUESTIONS, SECOND
from tests.support.processes import START_TIMEOUT, Stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.engine,
    pytest.mark.skipif(engine_python() is None, reason="the engine is not installed: manage.py install_engine"),
]

LOADED = 400.0  # seconds until vLLM answers, on what the machine has left
ANSWERED = 180_000  # milliseconds
COUNTED = 180  # looks, a second apart, until runs are in the roll-ups
FARTHEST = 150  # Tab keys to anything on a page
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
RUNS_OF_BOTH = re.compile(r"^Runs\s+1\b.*\b1\b", re.MULTILINE)
ANALYST = """
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.scopes import Role
user = User.objects.create_user("ada", password="{password}")
services.add_member(project=Project.objects.get(), user=user, role=Role.ANALYST)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """``manage.py up`` as it comes, with an engine of its own; who logs in is an analyst."""
    folder = tmp_path_factory.mktemp("house")
    stack = started(Stack(folder, engine_url="", SOVEREIGN_ENGINE_PYTHON=str(engine_python())))
    try:
        stack.up()
        stack.user, stack.password = "ada", secrets.token_urlsafe(15)
        made = stack.start("shell", "-v", "0", "-c", ANALYST.format(password=stack.password))
        assert made.wait(START_TIMEOUT) == 0, made.output()
        stack.await_engine(LOADED)
        yield stack
    finally:
        stack.destroy()


@pytest.fixture
def desk(chromium: Browser, house: Stack) -> Iterator[Watched]:
    """A browser at the analyst's desk; nothing goes wrong on its pages, and nothing is asked of another machine."""
    context = profile_of(chromium, viewport=DESKTOP, reduced_motion="reduce")
    watched = Watched(context.new_page(), house)
    yield watched
    context.close()
    assert watched.problems == []


def look(page: Page, name: str) -> None:
    """Keep a picture, for people to see, where they asked for it."""
    if folder := os.environ.get("E2E_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"day-{name}.png"))


def tab(page: Page, name: str) -> None:
    """Another page of the same assistant."""
    page.get_by_role("navigation", name="Assistant", exact=True).get_by_role("link", name=name, exact=True).click()
    expect(page.locator(".sv-tabs [aria-current=page]")).to_have_text(name)


def reach(page: Page, wanted: Locator) -> None:
    """Go there with the Tab key alone; where one is has to be seen."""
    expect(wanted).to_be_visible(timeout=ANSWERED)
    for _ in range(FARTHEST):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by keys")


def expect_to_fit(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url


def test_an_analyst_s_day(desk: Watched) -> None:
    page = desk.page
    desk.log_in("/admin/")
    expect(page.get_by_text("No words leave Sovereign").first).to_be_visible()
    make_an_assistant(page)
    give_it_a_file(page)
    give_it_a_prompt(page)
    try_it_by_keys(page)
    publish_and_deploy_on_the_phone(page, 1)
    ask_in_the_chat(desk, QUESTIONS[0])
    open_its_page(desk)
    page.get_by_label("Instructions", exact=True).fill(SECOND)
    save(page)
    publish_and_deploy_on_the_phone(page, 2)
    ask_in_the_chat(desk, QUESTIONS[0])
    page.emulate_media(color_scheme="dark")
    inspect_and_replay(desk)
    compare(desk)
    page.emulate_media(color_scheme="light")
    roll_back(page)


def make_an_assistant(page: Page) -> None:
    page.get_by_role("link", name=re.compile("Assistants$")).first.click()
    page.get_by_role("link", name="Start from a template").first.click()
    page.get_by_role("article", name="Customer support").get_by_role("button", name="Start from this").click()
    expect(page.get_by_text("Customer support is a draft: look through it, and choose its model.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill(DESK)
    page.get_by_label("Instructions", exact=True).fill(FIRST)
    page.get_by_label("Personality", exact=True).fill("")
    page.get_by_label("Temperature").first.fill("0")  # the same words each time
    save(page)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully", exact=False).first).to_be_visible()


def give_it_a_file(page: Page) -> None:
    file = {"name": "visiting.md", "mimeType": "text/markdown", "buffer": HANDBOOK.encode()}
    page.wait_for_load_state()  # its script takes the file
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    row = page.locator(".sv-files li").filter(has_text="visiting.md")
    expect(row).to_contain_text("ready", timeout=ANSWERED)  # seen without a reload
    look(page, "file")


def give_it_a_prompt(page: Page) -> None:
    its_page = page.url
    page.get_by_role("link", name=re.compile("Prompts$")).first.click()
    page.get_by_role("link", name="Add prompt").first.click()
    page.get_by_label("Name*").fill("House style")
    page.get_by_label("Text*").fill("Answer in one sentence.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is in the library, with its first version")).to_be_visible()
    page.goto(its_page)
    page.locator("a[href*='its-prompts']").first.click()
    form = page.get_by_role("region", name="Add a prompt")
    form.get_by_label("Prompt", exact=True).select_option(label="House style")
    form.get_by_label("Kind").select_option("secondary")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_role("region", name="Its prompts")).to_contain_text("House style")


def try_it_by_keys(page: Page) -> None:
    """From the list of prompts to a test case, without a mouse."""
    reach(page, page.get_by_role("navigation", name="Assistant", exact=True).get_by_role("link", name="Try"))
    page.keyboard.press("Enter")
    box = page.get_by_label("Your message")
    reach(page, box)
    page.keyboard.type(QUESTIONS[0])
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=ANSWERED)
    page.keyboard.press("Enter")
    left = page.get_by_role("region", name="Left", exact=True)
    expect(left.locator(".message.assistant").last).to_contain_text("visiting.md", timeout=ANSWERED)
    expect(left.locator(".tool")).to_contain_text("Searched files")
    reach(page, left.get_by_role("button", name="Save as test case"))
    page.keyboard.press("Enter")
    expect(left.get_by_role("link", name="Its test case")).to_be_focused()
    look(page, "try")


def publish_and_deploy_on_the_phone(page: Page, number: int) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    expect_to_fit(page)
    tab(page, "Versions")
    expect_to_fit(page)
    page.get_by_label("What is new in it").fill(f"Number {number}")
    page.get_by_role("button", name=f"Publish version {number}").click()
    expect(page.get_by_role("heading", name=f"The draft is version {number}")).to_be_visible()
    tab(page, "Deployments")
    expect_to_fit(page)
    in_testing(page).get_by_role("link", name="Deploy …").click()
    expect_to_fit(page)
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_text(f"Version {number} is in service in Testing.")).to_be_visible()
    look(page, f"deployed-{number}")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def in_testing(page: Page) -> Locator:
    return page.get_by_role("region", name="Testing", exact=True)


def ask_in_the_chat(desk: Watched, question: str) -> None:
    """What a small model quotes may be beside the point; that it looked into the file may not."""
    page = desk.open("/chat/")
    choose_assistant(page, DESK)
    page.get_by_label("Which version answers").select_option("testing")
    desk.say(question)
    expect(page.locator(".message.assistant").last).to_contain_text("visiting.md", timeout=ANSWERED)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=ANSWERED)
    look(page, "chat")


def open_its_page(desk: Watched) -> None:
    page = desk.open("/admin/assistants/assistant/")
    page.locator("#result_list").get_by_role("link", name=DESK, exact=True).click()


def inspect_and_replay(desk: Watched) -> None:
    """What it did, and what the version before would have said."""
    page = desk.open("/admin/runs/run/")
    page.locator("#result_list tbody a").first.click()
    where = page.get_by_role("region", name="Where its time went", exact=True)
    expect(where.get_by_role("row", name="Model call 1: prompt, until the first token")).to_be_visible()
    expect(where.get_by_role("row", name="file_search")).to_be_visible()
    look(page, "run-dark")
    page.get_by_role("link", name="What the model was sent").first.click()
    expect(page.get_by_role("region", name="Messages")).to_contain_text("Answer from the museum's handbook")
    expect(page.get_by_role("region", name="Messages")).to_contain_text("Answer in one sentence.")
    page.get_by_role("link", name="The run run_").click()
    page.get_by_role("region", name="Replays").get_by_role("link", name="Replay", exact=True).click()
    page.get_by_label("Version", exact=True).select_option("1")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("region", name="What is different")).to_be_visible(timeout=ANSWERED)
    asked = page.get_by_role("region", name="What they were asked with", exact=True)
    expect(asked).to_contain_text("two friendly sentences at most")
    expect(page.get_by_role("article", name="Its replay")).to_contain_text("Version 1")
    look(page, "beside-dark")


def compare(desk: Watched) -> None:
    """One run of each version, as soon as both are counted."""
    open_its_page(desk)
    page = desk.page
    tab(page, "Analytics")
    table = page.get_by_role("region", name="Table of metrics")
    for _ in range(COUNTED):
        page.get_by_label("Version", exact=True).select_option(label="Version 2")
        page.get_by_label("Compare with").select_option(label="Version 1 of this one")
        page.get_by_role("button", name="Show").click()
        if RUNS_OF_BOTH.search(table.inner_text()):
            break
        page.wait_for_timeout(1_000)
    look(page, "compared-dark")
    assert RUNS_OF_BOTH.search(table.inner_text()), table.inner_text()


def roll_back(page: Page) -> None:
    tab(page, "Deployments")
    in_testing(page).get_by_role("link", name="Roll back …").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_text("Version 1 is in service in Testing.")).to_be_visible()
    look(page, "rolled-back")
