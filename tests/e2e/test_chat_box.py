"""What goes into the box of the chat: files in all ways, long texts, first questions, and who is asked."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import LATER, TIMEOUT, Watched, choose_assistant, painted
from tests.support.client import unique

pytestmark = pytest.mark.e2e

#: a PNG of one pixel
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
#: Puts a file onto the page as a hand or the clipboard does: { type, name, mime, data: base64 }
BRING = """({ type, name, mime, data }) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: mime }));
  const target = document.getElementById("text");
  const options = { bubbles: true, cancelable: true };
  if (type === "paste") target.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
  else for (const kind of ["dragenter", "dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(kind, { ...options, dataTransfer: transfer }));
  }
}"""
#: What is heard of an answer that grows by these pieces, each of which is all that comes until the next is said.
HEARD = """async (pieces) => {
  const { Speech } = await import("/static/web/chat/speech.js");
  const place = document.createElement("div"), told = [], later = [], real = window.setTimeout;
  const speech = new Speech(place);
  const look = () => { told.push([...place.children].map((said) => said.textContent)); place.replaceChildren(); };
  window.setTimeout = (task) => later.push(task);
  for (const piece of pieces) {
    speech.grow(piece);
    for (const task of later.splice(0)) task();
    look();
  }
  speech.end("");
  look();
  speech.end("Whole.");
  look();
  window.setTimeout = real;
  return told;
}"""


def bring(page: Page, how: str, name: str, mime: str, content: bytes) -> None:
    given = {"type": how, "name": name, "mime": mime, "data": base64.b64encode(content).decode()}
    page.evaluate(BRING, given)


def sees_images(page: Page) -> None:
    """As if the model did: the scripted one does not."""

    def answer(route: Route) -> None:
        told = route.fetch().json()
        told["takes"]["images"] = True
        route.fulfill(json=told)

    page.route("**/chat/state.json*", answer)


def reader(watched: Watched, *tools: str, **fields: Any) -> str:
    """Choose an assistant of one's own that has these tools; its name."""
    name = f"Reader {unique()}"
    watched.stack.client.assistant(name=name, tools=[{"type": tool} for tool in tools], **fields)
    watched.page.reload()
    choose_assistant(watched.page, name)
    return name


def sent(page: Page) -> dict[str, Any]:
    """The message with which the next request begins a conversation."""
    with page.expect_request(lambda request: request.method == "POST" and "/v1/threads" in request.url) as asked:
        page.get_by_role("button", name="Send").click()
    return dict(json.loads(asked.value.post_data or "")["thread"]["messages"][0])


def test_files_go_with_a_message_and_are_shown_with_it(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    sees_images(page)
    name = reader(watched, "file_search")
    tray = page.get_by_role("list", name="Files that go with the message")
    (tmp_path / "plan.md").write_text("The plan.")
    page.locator("#files").set_input_files(tmp_path / "plan.md")
    bring(page, "drop", "notes.txt", "text/plain", b"Notes.")
    bring(page, "paste", "image.png", "image/png", PIXEL)
    expect(tray.get_by_role("button", name=re.compile("^Remove"))).to_have_count(3)
    page.get_by_label("Your message").fill("What is the plan? [tokens=3]")
    page.reload()
    expect(page.get_by_role("button", name="Assistant:")).to_contain_text(name)
    expect(tray).to_contain_text("plan.md")
    expect(page.get_by_label("Your message")).to_have_value("What is the plan? [tokens=3]")
    tray.get_by_role("button", name="Remove: notes.txt").click()
    watched.expect_sendable()

    message = sent(page)
    assert [part["type"] for part in message["content"]] == ["text", "image_file"]
    assert [attachment["tools"] for attachment in message["attachments"]] == [[{"type": "file_search"}]]
    said = page.locator(".message.user")
    expect(said.get_by_role("link", name="plan.md")).to_be_visible()
    expect(said.locator("img")).to_have_js_property("naturalWidth", 1)
    expect(page.locator(".message.assistant .body")).to_contain_text("t2", timeout=LATER)
    expect(tray).to_be_hidden()
    page.reload()
    expect(said.get_by_role("link", name="plan.md")).to_be_visible()
    expect(said.get_by_role("img", name="Image: image.png")).to_be_visible()
    expect(said).to_contain_text("9 byte")
    expect(said).to_have_count(1)


def test_what_cannot_go_with_a_message_says_so_before_it_is_sent(watched: Watched) -> None:
    page = watched.page
    reader(watched, "file_search")
    tray = page.locator("#tray")
    for name, mime, content, problem in (
        ("empty.txt", "text/plain", b"", "This file is empty."),
        ("program.exe", "application/x-msdownload", b"MZ", "Files of this kind cannot be searched."),
        ("image.png", "image/png", PIXEL, "This assistant's model does not see images."),
    ):
        bring(page, "drop", name, mime, content)
        expect(tray.get_by_role("listitem").filter(has_text=name)).to_contain_text(problem)
        page.get_by_label("Your message").fill("Read it.")
        page.keyboard.press("Enter")
        expect(page.locator("#tray-note")).to_contain_text("Remove the files")
        tray.get_by_role("button", name=f"Remove: {name}").click()
    expect(page.get_by_label("Your message")).to_have_value("Read it.")
    reader(watched)
    bring(page, "paste", "notes.txt", "text/plain", b"Notes.")
    expect(tray).to_contain_text("This assistant reads no files.")


def await_route(page: Page, held: list[Route]) -> None:
    """Until a request is held."""
    for _ in range(TIMEOUT // 50):
        if held:
            return
        page.wait_for_timeout(50)
    raise AssertionError("nothing is asked for")


def test_an_upload_that_breaks_off_is_tried_again_and_one_can_be_called_off(watched: Watched) -> None:
    page = watched.page
    reader(watched, "file_search")
    held: list[Route] = []
    page.route("**/v1/files", lambda route: held.append(route))
    bring(page, "drop", "data.csv", "text/csv", b"a,b\n")
    row = page.locator("#tray").get_by_role("listitem")
    expect(row.get_by_role("progressbar")).to_be_visible()
    await_route(page, held)
    page.get_by_label("Your message").fill("Add it up. [tokens=2]")
    page.keyboard.press("Enter")
    expect(page.locator("#tray-note")).to_contain_text("Wait until the files are there")
    held.pop().fulfill(status=507, json={"error": {"message": "There is no room left.", "type": "server_error"}})
    expect(row).to_contain_text("There is no room left.")
    row.get_by_role("button", name="Try again: data.csv").click()
    expect(row.get_by_role("progressbar")).to_be_visible()
    row.get_by_role("button", name="Cancel: data.csv").click()
    expect(row).to_have_count(0)
    page.unroute("**/v1/files")
    bring(page, "drop", "data.csv", "text/csv", b"a,b\n")
    expect(row.get_by_role("button", name="Remove: data.csv")).to_be_visible()
    assert len(sent(page)["attachments"]) == 1
    expect(page.locator(".message.assistant .body")).to_contain_text("t1", timeout=LATER)
    watched.problems = [problem for problem in watched.problems if "status of 507" not in problem]


def test_a_text_that_is_too_long_is_neither_sent_nor_lost(watched: Watched) -> None:
    page = watched.page
    box, count = page.get_by_label("Your message"), page.locator("#count")
    box.fill("x" * 1000)
    expect(count).to_be_empty()
    box.fill("x" * 255_999)
    expect(count).to_have_text("One character left.")
    box.fill("𝒳" + "x" * 255_999)  # characters, not units of UTF-16
    expect(count).to_have_text("0 characters left.")
    box.press("End")
    page.keyboard.type("y")
    expect(count).to_contain_text("1 characters too many")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(page.locator(".message")).to_have_count(0)
    assert len(box.input_value()) == 256_001


def test_a_first_question_is_asked_by_its_button(watched: Watched) -> None:
    page = watched.page
    name = f"Suggesting {unique()}"
    asked = f"What is {name}? [tokens=3]"
    body = {"model": "fake", "name": name, "suggestions": [asked, "Another <b>one</b>"]}
    watched.stack.client.request("POST", "/api/v1/assistants", body)
    page.reload()
    choose_assistant(page, name)
    questions = page.get_by_role("list", name="First questions").get_by_role("button")
    expect(questions).to_have_text([asked, "Another <b>one</b>"])
    questions.first.click()
    expect(page.locator(".message.user")).to_contain_text(f"What is {name}?")
    expect(page.locator(".message.assistant .body")).to_contain_text("t2", timeout=LATER)
    expect(questions).to_have_count(0)


def test_assistants_are_found_and_chosen_with_keys(watched: Watched) -> None:
    page = watched.page
    key = f"Pick {unique()}"
    for name, about in ((f"{key} one", "Knows the harbour."), (f"{key} two", "Knows the hills.")):
        watched.stack.client.assistant(name=name, description=about)
    page.reload()
    button = painted(page).get_by_role("button", name="Assistant:")
    button.press("Enter")
    search = page.get_by_role("combobox", name="Search assistants")
    expect(search).to_be_focused()
    page.keyboard.type(f"{key} knows")
    options = page.get_by_role("dialog").get_by_role("option")
    expect(options).to_have_count(2)
    expect(options.first).to_contain_text("Knows the harbour.")
    page.keyboard.press("ArrowDown")
    expect(search).to_have_attribute("aria-activedescendant", str(options.nth(1).get_attribute("id")))
    page.keyboard.press("Enter")
    expect(button).to_be_focused()
    expect(button).to_contain_text(f"{key} two")
    expect(page.locator("#welcome-description")).to_have_text("Knows the hills.")
    button.press("Enter")
    expect(search).to_be_focused()
    page.keyboard.type("nobody has this name")
    expect(page.get_by_role("dialog")).to_contain_text("No assistant has these words.")
    page.keyboard.press("Escape")
    expect(button).to_contain_text(f"{key} two")


def test_an_answer_is_heard_by_whole_sentences(watched: Watched) -> None:
    pieces = ["A sen", "tence. And", " another? Yes", "!\nThe rest"]
    assert watched.page.evaluate(HEARD, pieces) == [
        [], ["A sentence."], ["And another?"], ["Yes!"], ["The rest"], ["Whole."],
    ]  # fmt: skip


def test_the_page_says_how_full_the_context_is(watched: Watched) -> None:
    page = watched.page
    context = {"used": 5900, "length": 8192, "percent": 72, "cut": "left_out"}
    page.route("**/context.json", lambda route: route.fulfill(json={"context": context}))
    watched.say("[tokens=3]")
    gauge = page.locator("#gauge")
    expect(gauge).to_have_text("72 % of what the model reads. Older messages are left out.", timeout=LATER)
    expect(gauge.get_by_role("meter")).to_have_attribute("aria-label", re.compile("How much"))


def test_who_waits_is_told_their_place(watched: Watched) -> None:
    page = watched.page

    def answer(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "place": 3 if "thread=" in route.request.url else None})

    page.route("**/chat/state.json*", answer)
    page.route(
        re.compile("/v1/threads/runs$"), lambda route: route.fulfill(json={**route.fetch().json(), "status": "queued"})
    )
    page.route_web_socket("**/ws/**", lambda socket: None)  # nothing is told of its run
    page.route(
        re.compile("/runs/run_[^/?]*$"),
        lambda route: route.fulfill(json={**route.fetch().json(), "status": "queued", "status_details": None}),
    )
    page.reload()
    watched.say("[tokens=3]")
    expect(page.locator("#engine-note")).to_have_text("3rd in the queue", timeout=LATER)
