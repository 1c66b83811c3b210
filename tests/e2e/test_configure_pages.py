"""An analyst configures an assistant in a real browser: the editor, its functions, the order of its prompts, its code,
and what somebody else changed meanwhile."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.utils import quote as admin_quote
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Watched, painted
from tests.support.client import Client, unique
from tests.support.processes import Stack

pytestmark = pytest.mark.e2e

FUNCTION: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}


def an_assistant(stack: Stack, **fields: Any) -> str:
    _, made = stack.client.request("POST", "/v1/assistants", {"model": "fake", "name": f"Guide {unique()}", **fields})
    return str(made["id"])


def address(assistant_id: str, page: str = "change") -> str:
    return f"/admin/assistants/assistant/{quote(admin_quote(assistant_id))}/{page}/"


def fits(page: Page) -> None:
    """Nothing is wider than a phone."""
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_editor_counts_finds_places_and_takes_the_screen(watched: Watched) -> None:
    page = watched.open(address(an_assistant(watched.stack)))
    area = page.get_by_label("Instructions", exact=True)
    small = area.bounding_box()
    area.fill("Be kind.\n" * 40 + "Help {{ company }}.")
    box = page.locator(".sv-editor").filter(has=area)
    expect(box).to_contain_text("379 characters, about 95 tokens")
    large = area.bounding_box()
    assert small is not None
    assert large is not None
    assert large["height"] > small["height"] * 1.5, "it grows"
    expect(box.locator(".sv-unfilled")).to_contain_text("Nothing fills these in")
    expect(area).to_have_attribute("aria-describedby", re.compile("id_instructions_unfilled"))
    box.get_by_role("button", name="Show where company stands").click()
    assert area.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)") == "{{ company }}"
    box.get_by_role("button", name="Full screen").click()
    expect(area).to_be_focused()
    whole = area.bounding_box()
    assert whole is not None
    assert whole["height"] > 500
    for _ in range(5):  # the keys do not leave it
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.sv-full') !== null")
    page.keyboard.press("Escape")
    expect(page.locator(".sv-full")).to_have_count(0)
    area.fill("{{" + " " * 250_000 + "x")  # which is looked through at once
    expect(box).to_contain_text("250,003 characters")
    expect(box.locator(".sv-unfilled")).to_be_empty()
    fits(page)


def test_functions_are_forms_that_say_what_is_wrong(watched: Watched) -> None:
    page = watched.open(address(an_assistant(watched.stack, tools=[FUNCTION])))
    functions = page.locator(".sv-function")
    functions.first.locator("summary").click()
    schema = functions.first.get_by_label("Arguments, as a JSON schema")
    schema.fill('{"type": "object", "properties": {"city": {"type": "town"}}}')
    expect(functions.first.get_by_role("status")).to_contain_text("properties.city.type")
    expect(schema).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Add a function").click()
    functions.nth(1).get_by_label("Name").fill("find_house")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator("#content")).to_contain_text("look_up: Invalid 'parameters'")
    functions.first.locator("summary").click()
    functions.first.get_by_label("Arguments, as a JSON schema").fill('{"type": "object", "properties": {}}')
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(functions).to_have_count(2)
    functions.nth(1).locator("summary").click()
    page.get_by_role("button", name="Remove the function find_house").click()
    expect(functions).to_have_count(1)
    expect(page.locator("#id_tools")).not_to_have_value(re.compile("find_house"))


def test_who_saves_second_sees_what_the_other_changed(watched: Watched) -> None:
    made = an_assistant(watched.stack, instructions="One.\nTwo.")
    page = watched.open(address(made))
    page.get_by_label("Instructions", exact=True).fill("One.\nMine.")
    theirs = {"instructions": "One.\nTheirs.", "description": "<b>Theirs</b>"}
    watched.stack.client.request("POST", f"/v1/assistants/{made}", theirs)
    page.get_by_role("button", name="Save and continue editing").click()
    notice = page.get_by_role("alert").filter(has_text="has changed this since you opened it")
    expect(notice.locator(".sv-removed")).to_have_text("Theirs: Theirs.")
    expect(notice.locator(".sv-added")).to_have_text("Yours: Mine.")
    expect(page.get_by_label("Description", exact=True)).to_have_value("<b>Theirs</b>")
    expect(page.get_by_label("Instructions", exact=True)).to_have_value("One.\nMine.")
    fits(page)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    _, after = watched.stack.client.request("GET", f"/v1/assistants/{made}")
    assert (after["instructions"].splitlines(), after["description"]) == (["One.", "Mine."], "<b>Theirs</b>")


def test_prompts_are_put_in_order_by_dragging_and_by_keys(watched: Watched) -> None:
    stack, made, own = watched.stack, an_assistant(watched.stack), unique()
    scopes = [part for scope in ("assistants:read", "assistants:write", "prompts:read", "prompts:write")
              for part in ("--scope", scope)]  # fmt: skip
    author = Client(stack.url, stack.another_key(f"prompts {own}", *scopes))
    for name in "ABC":
        _, prompt = author.request("POST", "/api/v1/prompts", {"name": f"{name} {own}", "template": "Be kind."})
        author.request("POST", f"/api/v1/assistants/{made}/prompts", {"prompt_id": prompt["id"], "kind": "secondary"})
    page = watched.open(address(made, "prompts"))
    rows = page.locator("tr[data-link]")
    first = [row.inner_text()[0] for row in rows.locator("th").all()]
    handle, target = rows.nth(2).locator(".sv-handle").bounding_box(), rows.nth(0).bounding_box()
    assert handle is not None
    assert target is not None
    page.mouse.move(handle["x"] + 5, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(target["x"] + 20, target["y"] + 4, steps=5)
    expect(rows.nth(0)).to_have_class("sv-before-it")
    with page.expect_event("load"):  # the rows are where they were dropped before the page has come anew
        page.mouse.up()
    expect(rows.locator("th").nth(0)).to_contain_text(f"{first[2]} {own}")
    expect(rows.locator("th").nth(1)).to_contain_text(f"{first[0]} {own}")
    rows.nth(2).get_by_role("button", name="up").focus()
    painted(page).keyboard.press("Enter")
    expect(rows.locator("th").nth(1)).to_contain_text(f"{first[1]} {own}")
    expect(rows.nth(1).get_by_role("button", name="up")).to_be_focused()
    painted(page).keyboard.press("Enter")
    expect(rows.locator("th").nth(0)).to_contain_text(f"{first[1]} {own}")
    expect(rows.nth(0).get_by_role("button", name="down")).to_be_focused()
    fits(page)


def test_the_program_is_copied(watched: Watched) -> None:
    made = an_assistant(watched.stack)
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.open(address(made, "code"))
    page.get_by_role("link", name="Node", exact=True).click()
    page.get_by_role("button", name="Copy: The answer while it is written").click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_attached()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f'assistant_id: "{made}"' in copied
    assert f'baseURL: "{watched.stack.url}/v1"' in copied
    fits(page)
