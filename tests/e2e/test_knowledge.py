"""An analyst gives an assistant documents: a real browser, server and worker, and the real embedder of the product."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.utils import unquote
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import LATER, Watched, choose_assistant, painted, press_for_files, profile_of
from tests.knowledge import library

pytestmark = pytest.mark.e2e

#: A drop as a browser makes it, of files that the page's own input holds.
DROP = """(zone) => {
  const files = new DataTransfer();
  files.items.add(new File(["# Opening hours\\n\\nThe museum opens at ten o'clock.\\n"], "hours.md"));
  for (const type of ["dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
  }
}"""


@pytest.fixture
def documents(tmp_path: Path) -> list[Path]:
    """One that can be read, and one that cannot."""
    texts = {
        "handbook.md": "# Handbook\n\nThe railway station is north of the river.\n\nLunch is served at noon.\n",
        "report.pdf": "%PDF-1.4 and nothing else",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in texts]


def row(page: Page, name: str) -> Locator:
    return page.locator(".sv-files li").filter(has_text=name)


def make_store(watched: Watched, name: str) -> Page:
    page = watched.page
    page.goto(f"{watched.stack.url}/admin/knowledge/vectorstore/add/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"{name} is made.")).to_be_visible()
    page.wait_for_load_state()  # its script takes the files
    return page


def test_a_store_is_filled_watched_and_tried(watched: Watched, documents: list[Path]) -> None:
    page = make_store(watched, "House")
    page.locator("input[type=file]").set_input_files(documents)
    expect(row(page, "handbook.md")).to_contain_text("ready", timeout=LATER)  # seen without a reload
    expect(row(page, "report.pdf")).to_contain_text("The file is damaged", timeout=LATER)
    expect(page.get_by_label("Name", exact=True)).to_have_value("House")  # the theme would put the file's name there

    page.get_by_label("Question or words").fill("where do the trains leave?")
    page.keyboard.press("Enter")
    page.wait_for_url("**query=**")
    hits = page.locator(".sv-hits li")
    expect(hits.first).to_contain_text("The railway station is north of the river.")
    expect(page.locator("#try")).to_contain_text("found by meaning and by words")

    row(page, "report.pdf").get_by_role("button", name="Try again").click()
    expect(row(page, "report.pdf")).to_contain_text("The file is damaged", timeout=LATER)
    row(page, "report.pdf").get_by_role("button", name="Remove").click()
    expect(page.locator("#knowledge")).to_contain_text("1 file: 1 ready")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_files_are_dropped_onto_an_assistant(watched: Watched) -> None:
    made = watched.stack.client.assistant(name="Librarian")
    page = watched.page
    page.goto(f"{watched.stack.url}/admin/assistants/assistant/?q=Librarian")
    page.locator("#result_list").get_by_role("link", name="Librarian").click()
    expect(page.locator("#knowledge")).to_contain_text("No file is in it yet.")
    page.wait_for_load_state()  # its script takes what is dropped
    page.locator("body").evaluate(DROP)
    expect(row(page, "hours.md")).to_contain_text("ready", timeout=LATER)
    expect(page.get_by_label("File search")).to_be_checked()
    expect(page.locator("#id_tools")).to_have_value(re.compile('"type": "file_search"'))

    page.get_by_label("Name", exact=True).fill("Chief librarian")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errornote")).to_have_count(0)
    assistant = watched.stack.client.get(f"/v1/assistants/{made}")
    assert assistant["name"] == "Chief librarian"
    assert [tool["type"] for tool in assistant["tools"]] == ["file_search"]  # saving has not undone the drop
    assert len(assistant["tool_resources"]["file_search"]["vector_store_ids"]) == 1


def test_files_are_uploaded_by_the_keyboard_and_downloaded(watched: Watched, documents: list[Path]) -> None:
    page = watched.open("/admin/knowledge/file/add/")
    chooser = page.locator("input[type=file]")
    chooser.focus()
    expect(chooser).to_be_focused()
    press_for_files(chooser, "Space")
    chooser.set_input_files(documents)
    page.wait_for_url("**/admin/knowledge/file/")
    page.locator("#result_list").get_by_role("link", name="report.pdf").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "report.pdf"
    assert Path(download.value.path()).read_text() == "%PDF-1.4 and nothing else"


def test_without_scripts_a_plain_form_does_the_same(watched: Watched, documents: list[Path], chromium: Browser) -> None:
    page = make_store(watched, "Plain")
    context = profile_of(chromium, storage_state=page.context.storage_state(), java_script_enabled=False)
    plain = context.new_page()
    plain.goto(page.url)
    plain.get_by_label("Files to add").set_input_files(documents)
    plain.get_by_role("button", name="Upload").click()
    expect(plain.get_by_text("handbook.md, report.pdf are in Plain now")).to_be_visible()
    expect(plain.locator(".sv-files li")).to_have_count(2)
    context.close()


#: questions in other words than the documents'
ASKED = {
    "handbook.pdf": "How many days off do I get?",
    "contract.docx": "What does the warehouse cost?",
    "recipes.md": "How long is the cake in the oven?",
}


def expect_passage(answer: Locator, name: str, words: str) -> None:
    """The number opens what was found, by a key; closing it leads back to the number."""
    number = answer.locator(".cited button")
    number.focus()
    answer.page.keyboard.press("Enter")
    passage = answer.page.get_by_role("dialog", name=name)
    expect(passage).to_contain_text(words)
    answer.page.keyboard.press("Escape")
    expect(passage).to_be_hidden()
    expect(number).to_be_focused()


def test_three_documents_are_tried_and_cited_in_the_chat(watched: Watched, tmp_path: Path) -> None:
    page = make_store(watched, "Documents")
    page.locator("input[type=file]").set_input_files(library.write(tmp_path))
    for name in library.PAGES:
        expect(row(page, name)).to_contain_text("ready", timeout=LATER)
    for name, question in ASKED.items():
        page.get_by_label("Question or words").fill(question)
        painted(page).keyboard.press("Enter")
        page.wait_for_url("**query=**")
        first = page.locator(".sv-hits li").first
        expect(first).to_contain_text(name)
        expect(first).to_contain_text(library.answer_in(name))

    store = unquote(page.url.split("/")[-3])
    search: Any = {"tools": [{"type": "file_search"}], "tool_resources": {"file_search": {"vector_store_ids": [store]}}}
    watched.stack.client.assistant(name="Clerk", **search)
    page.goto(f"{watched.stack.url}/chat/")
    choose_assistant(page, "Clerk")
    for number, (name, word) in enumerate(library.QUESTIONS.items()):
        watched.say(f"{ASKED[name]} [tool=file_search with=query:{word} cite={word}]")
        answer = page.locator(".message").filter(has=page.get_by_role("list", name="Sources")).nth(number)
        expect(answer.get_by_role("list", name="Sources")).to_have_text(name, timeout=LATER)
        expect(answer).to_contain_text(library.answer_in(name))
