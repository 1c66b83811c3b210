"""An analyst writes a prompt in a real browser: variables as rows, a preview while it is typed, versions and labels."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Watched

pytestmark = pytest.mark.e2e


def test_a_prompt_is_written_with_a_preview_and_gets_a_version(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.stack.url}/admin/prompts/prompt/add/")
    page.get_by_label("Name*").fill("Support desk")
    text = page.get_by_label("Text*")
    text.fill("Answer for {{ company }}.{{# topics }}[{{ . }}]{{/ topics }}")
    page.get_by_role("button", name="Declare company").click()
    page.get_by_role("button", name="Declare topics").click()
    page.get_by_role("group", name="Variable topics").get_by_label("Type").select_option("list")
    page.get_by_label("company", exact=True).fill("<b>ACME</b>")
    page.get_by_label("topics", exact=True).fill("Anvils, Rockets")
    preview = page.locator("[data-text]")
    expect(preview).to_have_text("Answer for <b>ACME</b>.[Anvils][Rockets]")
    text.fill("Answer for {{ company.")
    expect(page.locator("[data-state]")).to_contain_text("Line 1 of the template")
    expect(preview).to_be_hidden()
    text.fill("Answer for {{ company }}.")
    expect(page.locator("[data-state]")).to_have_text("Not used: topics.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is in the library, with its first version")).to_be_visible()

    page.get_by_label("Text*").fill("Answer kindly for {{ company }}.")
    page.get_by_label("What was changed, and why").fill("Kinder")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("Version 2 is the newest now")).to_be_visible()
    page.get_by_role("link", name="What version 2 changed").click()
    expect(page.locator("#differences ins")).to_contain_text("kindly")
    page.get_by_label("Have a label point to a version").fill("production")
    page.get_by_role("button", name="Move it there").click()
    expect(page.locator("#labels")).to_contain_text("version 2, since")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
