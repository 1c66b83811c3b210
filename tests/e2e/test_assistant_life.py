"""An analyst brings an assistant into the world in a real browser: from a template to a version in development."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Watched
from tests.e2e.test_chat import answer, expect_rest, text_of
from tests.support.client import tokens, unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e


def test_an_analyst_starts_from_a_template_publishes_deploys_and_talks_to_the_draft(
    watched: Watched, upstream: Upstream
) -> None:
    page, name, key = watched.page, f"Tutor {secrets.token_hex(4)}", unique()
    watched.open("/admin/assistants/assistant/")
    page.get_by_role("link", name="Start from a template").first.click()
    page.get_by_role("article", name="Tutor").get_by_role("button", name="Start from this").click()
    expect(page.get_by_text("Tutor is a draft: look through it, and choose its model.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill(name)
    expect(page.get_by_label("Instructions", exact=True)).not_to_be_empty()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)

    tabs = page.get_by_role("navigation", name="Assistant", exact=True)
    tabs.get_by_role("link", name="Versions").click()
    page.get_by_label("What is new in it").fill("For the first lesson")
    page.get_by_role("button", name="Publish version 1").click()
    expect(page.get_by_role("heading", name="The draft is version 1")).to_be_visible()
    expect(page.get_by_role("row", name="Version 1")).to_contain_text("For the first lesson")

    tabs.get_by_role("link", name="Configure").click()
    expect(page.get_by_label("Status")).to_have_value("active")  # what is published is no draft any more
    tabs.get_by_role("link", name="Deployments").click()
    development = page.get_by_role("region", name="Development", exact=True)
    development.get_by_role("link", name="Deploy …").click()
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_text("Version 1 is in service in Development.")).to_be_visible()

    tabs.get_by_role("link", name="Configure").click()
    page.get_by_label("Instructions", exact=True).fill("Teach by questions, and be very kind.")
    page.get_by_role("button", name="Save and continue editing").click()
    page.locator('a[href$="/open-chat/"]').first.click()
    page.wait_for_url("**/chat/**")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.get_by_label("Which version answers").select_option("draft")
    watched.say(f"Count, please. [tokens=6 keep=1 key={key}]")
    expect(answer(watched)).to_contain_text("t5")
    expect_rest(watched)
    assert text_of(answer(watched)) == tokens(6).strip()
    (asked,) = upstream.kept(key)
    assert "be very kind" in asked["messages"][0]["content"], "the draft answers, and not the version in development"
