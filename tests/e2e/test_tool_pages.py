"""An analyst gives an assistant tools, in a real browser: boxes, a function that is checked while it is typed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Watched

pytestmark = pytest.mark.e2e

SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'


def test_a_function_is_checked_while_it_is_typed_and_given_to_an_assistant(watched: Watched) -> None:
    watched.stack.client.assistant(name="Forecaster")
    page = watched.page
    page.goto(f"{watched.stack.url}/admin/catalog/function/add/")
    page.get_by_label("Name").fill("look_up_weather")
    page.get_by_label("Parameters").fill(SCHEMA)
    page.get_by_label("Examples").fill('[{"arguments": {"town": "Bonn"}}]')
    status = page.locator("#function-check")
    words = "examples[0]: the arguments break the schema. 'city' is a required property"
    place = "(region) => [region.parentElement.tagName, [...region.parentElement.children].indexOf(region)].join()"
    before = status.evaluate(place)
    expect(status).to_have_text(words)
    assert status.evaluate(place) == before  # a region that is moved is not read aloud
    expect(page.get_by_label("Examples")).to_have_accessible_description(re.compile(re.escape(words)))
    expect(page.locator("#id_examples + #function-check-shown")).to_be_visible()
    page.get_by_label("Examples").fill('[{"arguments": {"city": "Bonn"}}]')
    expect(status).to_have_text("The schema is one, and the examples fit it.")
    expect(page.get_by_label("Examples")).not_to_have_accessible_description(re.compile("is one"))
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/catalog/function/")

    page.goto(f"{watched.stack.url}/admin/assistants/assistant/?q=Forecaster")
    page.locator("#result_list").get_by_role("link", name="Forecaster").click()
    page.get_by_label("Calculator").check()
    page.get_by_label("look_up_weather").check()
    page.get_by_label("File search").check()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    for box in ("Calculator", "look_up_weather", "File search"):
        expect(page.get_by_label(box)).to_be_checked()
    expect(page.get_by_label("Search of threads")).not_to_be_checked()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
