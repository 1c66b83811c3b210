"""An analyst deploys in a real browser: by keys and labels, on a narrow screen, and without JavaScript."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.admin.utils import quote, unquote
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.e2e.conftest import Watched, painted, profile_of
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.e2e

SERVED = 120_000  # milliseconds until a version that has to talk first is in service


def look(page: Page, name: str) -> None:
    """Keep a picture, for people to see, where they asked for it."""
    if folder := os.environ.get("E2E_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def address_of(stack: Stack, model: str, name: str) -> str:
    """The page of a new assistant."""
    _, made = stack.client.request(
        "POST", "/api/v1/assistants", {"name": name, "model": model, "instructions": "Be brief."}
    )
    return f"{stack.url}/admin/assistants/assistant/{quote(made['id'])}/"


def test_a_version_comes_to_production_step_by_step(watched: Watched, upstream: Upstream) -> None:
    page = watched.page
    page.goto(address_of(watched.stack, upstream.model, "Deployed by hand"))
    tabs = page.get_by_role("navigation", name="Assistant", exact=True)
    tabs.get_by_role("link", name="Deployments").click()
    development = page.get_by_role("region", name="Development", exact=True)
    expect(development).to_contain_text("Nothing is in service here.")
    look(page, "deployments-none")
    development.get_by_role("link", name="Deploy …").focus()
    painted(page).keyboard.press("Enter")
    page.get_by_label("Notes").fill("The first that people try")
    page.get_by_role("button", name="Only check it").click()
    expect(page.get_by_role("list", name="Checks")).to_contain_text("passed")
    expect(page.get_by_label("Notes")).to_have_value("The first that people try")
    look(page, "deployments-deploy")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_text("Version 1 is in service in Development.")).to_be_visible()

    production = page.get_by_role("region", name="Production", exact=True)
    production.get_by_role("link", name="Deploy …").click()
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_text("It comes into service in Production")).to_be_visible()
    look(page, "deployments-tried")
    for _ in range(SERVED // 1_000):
        if "in service since" in production.inner_text():
            break
        page.wait_for_timeout(1_000)
        page.reload()
    expect(production).to_contain_text("in service since")

    production.get_by_role("link", name="Scale …").click()
    page.get_by_label("Runs at once").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(production).to_contain_text("2 runs at once")
    look(page, "deployments-used")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look(page, "deployments-narrow")


def test_a_canary_is_begun_without_javascript(
    chromium: Browser, live_server_process: Stack, session: StorageState, upstream: Upstream
) -> None:
    stack, client = live_server_process, live_server_process.client
    own = address_of(stack, upstream.model, "A canary's")
    assistant = unquote(own.split("/")[-2])
    context = profile_of(chromium, java_script_enabled=False, storage_state=session)
    page = context.new_page()
    page.goto(f"{own}deployments/in/testing/deploy/")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_text("Version 1 is in service in Testing.")).to_be_visible()
    client.request("PUT", f"/api/v1/assistants/{assistant}", {"instructions": "Be kind."})
    testing = page.get_by_role("region", name="Testing", exact=True)
    testing.get_by_role("link", name="Deploy …").click()
    page.get_by_label("Canary: per cent of the threads").fill("100")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("99.99")
    page.get_by_label("Canary: per cent of the threads").fill("20")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(testing).to_contain_text("20 % of the threads")
    expect(testing.get_by_role("table")).to_contain_text("Thumbs down")
    look(page, "deployments-canary")
    testing.get_by_role("link", name="To all threads …").click()
    page.get_by_role("button", name="To all threads").click()
    expect(page.get_by_text("Version 2 is in service in Testing.")).to_be_visible()
    context.close()
