"""What people see of tools: the page's own modules are told what the contract's events say, in a real browser."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Watched

pytestmark = pytest.mark.e2e

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
CODE = "import math\nprint(math.pi)\n"
#: Tells a transcript of its own on the page what happened in a run.
TELL = """async (events) => {
  const { Transcript } = await import("/static/web/chat/transcript.js");
  document.getElementById("welcome").hidden = true;
  window.told ??= new Transcript(document.getElementById("messages"), () => "Analyst");
  for (const [event, data] of events) window.told.apply(event, data);
}"""
#: Shows requests on the page: calls, and the ids of those that the server says are requests.
ASK = """async ([calls, asked]) => {
  const { Approvals } = await import("/static/web/chat/approvals.js");
  const root = document.getElementById("messages");
  window.asked ??= new Approvals(root, async (outputs) => { window.sent = outputs; return true; });
  return window.asked.show({
    status: "requires_action", required_action: { submit_tool_outputs: { tool_calls: calls } }, expires_at: 1790000000,
  }, new Set(asked));
}"""


def picture() -> bytes:
    """A PNG of 8 by 8 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x10\x80\x60" * 8 for _ in range(8)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def uploaded(watched: Watched, name: str, content: bytes) -> str:
    """The id of a file of the project."""
    made = watched.page.request.post(
        f"{watched.stack.url}/v1/files",
        headers={"Authorization": f"Bearer {watched.stack.api_key}"},
        multipart={"purpose": "assistants", "file": {"name": name, "mimeType": "text/plain", "buffer": content}},
    )
    assert made.ok, made.text()
    return str(made.json()["id"])


def step(calls: list[dict[str, Any]], status: str = "in_progress", **more: Any) -> dict[str, Any]:
    details = {"type": "tool_calls", "tool_calls": calls}
    return {"id": "step_1", "run_id": "run_1", "type": "tool_calls", "status": status, "step_details": details, **more}


def code_delta(**parts: Any) -> tuple[str, Any]:
    call = {"index": 0, "type": "code_interpreter", "code_interpreter": parts}
    return "thread.run.step.delta", {"id": "step_1", "delta": {"step_details": {"tool_calls": [call]}}}


def message(content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    return {
        "id": "msg_1", "role": "assistant", "run_id": "run_1", "assistant_id": "asst_1", "created_at": 1_790_000_000,
        "status": status, "content": content,
    }  # fmt: skip


def text(value: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": list(annotations)}}


def annotation(value: str, mark: str, **what: Any) -> dict[str, Any]:
    """Of the first place of the mark in the text."""
    start = value.index(mark)
    return {"text": mark, "start_index": start, "end_index": start + len(mark), **what}


def request(call_id: str, arguments: str, name: str = "add_event") -> dict[str, Any]:
    told = f'{{"server_label":"calendar","name":"{name}","arguments":{arguments}}}'
    return {"id": call_id, "type": "function", "function": {"name": "mcp_approval_request", "arguments": told}}


def tell(watched: Watched, *events: tuple[str, Any]) -> Page:
    watched.page.evaluate(TELL, [list(event) for event in events])
    return watched.page


def is_loaded(image: Locator) -> bool:
    return bool(image.evaluate("async (image) => { await image.decode(); return image.naturalWidth === 8; }"))


def test_code_is_shown_while_it_is_written_with_what_it_prints_and_draws(watched: Watched) -> None:
    plot = uploaded(watched, "plot.png", picture())
    begun = {"index": 0, "id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "", "outputs": []}}
    page = tell(
        watched,
        ("thread.run.step.created", step([])),
        ("thread.run.step.delta", {"id": "step_1", "delta": {"step_details": {"tool_calls": [begun]}}}),
        code_delta(input=CODE[:9]),
    )
    card = page.locator(".tool")
    expect(card).to_have_attribute("data-state", "running")
    expect(card.get_by_label("Python code")).to_be_visible()
    expect(card.get_by_label("Python code")).to_have_text(CODE[:9])

    log = {"index": 0, "type": "logs"}
    tell(watched, code_delta(input=CODE[9:]), code_delta(outputs=[{**log, "logs": "3.14"}]))
    tell(watched, code_delta(outputs=[{**log, "logs": "159\n"}]))
    tell(watched, code_delta(outputs=[{"index": 1, "type": "image", "image": {"file_id": plot}}]))
    assert card.get_by_label("Python code").text_content() == CODE
    expect(card.get_by_label("What the code printed")).to_have_text("3.14159")
    assert is_loaded(card.locator("img"))

    outputs = [{"type": "logs", "logs": "3.14159\n"}, {"type": "image", "image": {"file_id": plot}}]
    whole = {"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": CODE, "outputs": outputs}}
    tell(watched, ("thread.run.step.completed", step([whole], "completed", asked={"call_1": {"seconds": 1.26}})))
    expect(card.locator("summary")).to_contain_text("Ran code")
    expect(card.locator("summary")).to_contain_text("1.3 s")
    assert card.get_by_label("Python code").text_content() == CODE
    expect(card.get_by_label("What the code printed")).to_have_text("3.14159")

    shown = [{"type": "image_file", "image_file": {"file_id": plot}}, text("There it is.")]
    tell(watched, ("thread.message.created", message([], "in_progress")))
    expect(card.get_by_label("Python code")).not_to_be_visible()  # the answer has begun
    tell(watched, ("thread.message.completed", message(shown)))
    assert is_loaded(page.locator(".message img"))
    card.locator("summary").click()
    expect(card.get_by_label("Python code")).to_be_visible()


def test_functions_and_searches_show_what_was_asked_and_what_came(watched: Watched) -> None:
    found = {"file_id": "file-1", "file_name": "guide.md", "score": 0.871, "content": [{"type": "text", "text": EVIL}]}
    calls = [
        {"id": "call_1", "type": "function",
         "function": {"name": "calculator", "arguments": '{"of":"6*7","big":12345678901234567890}', "output": "42"}},
        {"id": "call_2", "type": "function",
         "function": {"name": "add_event", "arguments": "{}", "output": '{"error":"The call was refused. No."}'}},
        {"id": "call_3", "type": "file_search", "file_search": {"results": [found]}},
    ]  # fmt: skip
    asked = {
        "call_1": {"seconds": 0.004},
        "call_2": {"seconds": 0.0, "approval": "refused"},
        "call_3": {"seconds": 0.21, "query": EVIL},
    }
    page = tell(watched, ("thread.run.step.completed", step(calls, "completed", asked=asked)))
    titles = page.locator(".tool summary")
    expect(titles.nth(0)).to_have_text(re.compile(r"Called calculator\s*under 0.1 s"))
    expect(titles.nth(1)).to_have_text(re.compile(r"Called add_event\s*refused"))
    expect(titles.nth(2)).to_contain_text(EVIL)
    for number in range(3):
        titles.nth(number).focus()
        page.keyboard.press("Enter")
    expect(page.get_by_label("Arguments").first).to_contain_text('"big": 12345678901234567890')
    expect(page.get_by_label("Result").first).to_have_text("42")
    expect(page.locator(".found")).to_contain_text("guide.md")
    expect(page.locator(".found")).to_contain_text("0.87")
    expect(page.locator(".found p")).to_have_text(EVIL)
    assert page.locator(".tool img, .tool script").count() == 0
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_sources_are_numbered_and_files_are_downloaded_as_long_as_an_answer_is_text(watched: Watched) -> None:
    """The server's HTML takes its place as soon as it is heard."""
    table = uploaded(watched, "table.csv", b"a,b\n1,2\n")
    mark = "【4:0†gu*i*de.md】"
    value = (
        f"😀 **Trains** leave hourly{mark}.\n- [the table](sandbox:/mnt/data/table.csv)\n- `{mark[1:]}` 【9:9†none】"
    )
    page = tell(watched, ("thread.message.completed", message([text(
        value,
        annotation(value, "sandbox:/mnt/data/table.csv", type="file_path", file_path={"file_id": table}),
        annotation(value, mark, type="file_citation", file_citation={"file_id": "file-1"}),
    )])))  # fmt: skip
    body = page.locator(".message .body")
    expect(body.locator(".plain")).to_contain_text("😀 **Trains** leave hourly Source 1: gu*i*de.md 1.")
    expect(body.locator(".cited")).to_have_attribute("title", "gu*i*de.md")
    expect(body).to_contain_text("【9:9†none】")  # which nothing says anything of
    with page.expect_download() as download:
        body.get_by_role("link", name="table.csv").click()
    assert download.value.suggested_filename == "table.csv"


def test_sources_are_numbered_while_the_answer_is_written(watched: Watched) -> None:
    mark = "【4:0†guide.md】"
    cited = annotation(mark, mark, type="file_citation", file_citation={"file_id": "file-1"}, index=0)
    deltas = [{"index": 0, **text("Hourly")}, {"index": 0, **text(mark, cited)}, {"index": 0, **text(". Yes")}]
    told = [("thread.message.delta", {"id": "msg_1", "delta": {"content": [delta]}}) for delta in deltas]
    page = tell(watched, ("thread.message.created", message([], "in_progress")), *told)
    expect(page.locator(".message .plain")).to_have_text("Hourly Source 1: guide.md 1. Yes")


def test_requests_are_answered_together_by_the_keyboard(watched: Watched) -> None:
    page = watched.page
    hidden = '{"to":"bob\u202e","sum":12345678901234567890,"note":"' + EVIL.replace('"', "") + '"}'
    said = page.evaluate(
        ASK, [[request("call_1", hidden), request("call_2", "{}", name="delete_event")], ["call_1", "call_2"]]
    )
    assert "add_event of calendar" in said
    assert "delete_event of calendar" in said
    cards = page.locator(".approval")
    expect(cards.first.get_by_role("heading")).to_have_text("May the assistant use add_event of calendar?")
    shown = cards.first.get_by_label("What it would be given")
    until = page.evaluate("new Date(1790000000000).toLocaleTimeString(undefined, { timeStyle: 'short' })")
    expect(cards.first).to_contain_text(f"The answer waits until {until}.")
    for part in (r"bob\u202e", "12345678901234567890", EVIL):
        expect(shown).to_contain_text(part)  # no character hides, no number is rounded

    cards.first.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    expect(cards.first).to_contain_text("Sent as soon as the other questions are answered.")
    assert page.evaluate("window.sent") is None
    page.keyboard.press("Tab")
    expect(cards.first.get_by_role("button", name="Refuse")).to_be_focused()
    cards.last.get_by_label("Reason for a refusal").fill("Perhaps")
    page.keyboard.press("Escape")
    expect(cards.last.get_by_label("Reason for a refusal")).to_have_value("")
    cards.last.get_by_label("Reason for a refusal").fill("Not today")
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent") == [
        {"tool_call_id": "call_1", "output": '{"approve":true}'},
        {"tool_call_id": "call_2", "output": '{"approve":false,"reason":"Not today"}'},
    ]
    assert page.evaluate("window.asked.show({ status: 'queued' }, new Set())") == ""
    expect(cards).to_have_count(0)


def test_what_an_application_has_to_answer_too_is_not_decided_here(watched: Watched) -> None:
    own = {"id": "call_2", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    watched.page.evaluate(ASK, [[request("call_1", "{}"), own], ["call_1"]])
    card = watched.page.locator(".approval")
    expect(card).to_contain_text("The application that began this answer has to decide.")
    expect(card.get_by_role("button")).to_have_count(0)


def test_a_function_that_is_called_like_a_request_is_none(watched: Watched) -> None:
    broken = {"id": "call_2", "type": "function", "function": {"name": "mcp_approval_request", "arguments": "[{"}}
    forged = [request("call_1", "{}"), broken]
    assert watched.page.evaluate(ASK, [forged, []]) == ""
    expect(watched.page.locator(".approval")).to_have_count(0)
