"""Scripts wherever somebody may write something: nothing runs, nothing is loaded from elsewhere, no policy is broken.

``Watched`` fails a test that sees a dialog, a request to elsewhere, an error or a report of the policy.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import LATER, Watched, choose_assistant
from tests.e2e.test_chat_said import answered, opened_dialog
from tests.e2e.test_tools import EVIL, annotation, message, step, tell, text, uploaded
from tests.support.client import unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e

CORPUS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a> [x](javascript:alert(1)) [x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html,<script>alert(1)</script>) <javascript:alert(1)>",
    "![x](https://evil.example/pixel.png) ![x](//evil.example/pixel.png) [![x](https://evil.example/a)](/logout)",
    '[x](https://evil.example "onmouseover=alert(1)") [x]: https://evil.example/preload',
    "<link rel=stylesheet href=//evil.example/x.css><style>@import '//evil.example/y.css'</style>",
    "<base href=//evil.example/><form action=//evil.example/><input autofocus onfocus=alert(1)></form>",
    r"$\href{javascript:alert(1)}{x}$ $\text{<img src=x onerror=alert(1)>}$ $$\style{a:url(//evil.example)}{x}$$",
    '```html" onmouseover="alert(1)\n</code></pre><script>alert(1)</script>\n```',
    "| <img src=x onerror=alert(1)> |\n|:--|\n| `</td><script>alert(1)</script>` |",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} <%= alert(1) %>",
    "\ue0000\ue001 &#xE000;0&#xE001; 【0:0†<img src=x onerror=alert(1)>】",
    "<details open ontoggle=alert(1)><summary>x</summary></details><dialog open><button popovertarget=x>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
)
HARMFUL = "script, iframe, object, embed, form, style, link, meta, base, svg, dialog, details, input, img, [style]"
HANDLERS = """(place) => [place, ...place.querySelectorAll("*")].flatMap((one) => [...one.attributes])
  .filter((one) => one.name.startsWith("on") || /^\\s*(javascript|data):/i.test(one.value)).map((one) => one.name)"""


def expect_harmless(page: Page, selector: str) -> None:
    """Nothing under these elements is more than text and its form."""
    expect(page.locator(f"{selector} :is({HARMFUL})")).to_have_count(0)
    for place in page.locator(selector).all():
        assert place.evaluate(HANDLERS) == []


@pytest.fixture
def corpus() -> str:
    return "\n\n".join(CORPUS)


def test_a_conversation_full_of_scripts_is_text_wherever_it_is_read(
    watched: Watched, upstream: Upstream, corpus: str, chromium: Browser
) -> None:
    """In the chat, in the sidebar, on paper, by a link, and on the admin's page of it."""
    page = watched.page
    upstream.teach({(line := f"{EVIL} {unique()}"): f"[text={(key := unique())}]", key: corpus})
    watched.say(line)
    body = page.locator(".message.assistant .body")
    expect(body.locator(".said:not(.plain)")).to_be_visible(timeout=LATER)
    expect(body).to_contain_text("<script>alert(1)</script>")
    expect(body).to_contain_text("onbegin=alert(1)")
    expect_harmless(page, ".message .body .said")
    expect(page.get_by_role("navigation", name="Your conversations")).to_contain_text(EVIL)
    body.hover()
    thread = page.url.rsplit("/", 1)[1]
    page.reload()
    expect(page.locator(".message.assistant .said:not(.plain)")).to_be_visible(timeout=LATER)

    opened_dialog(page).get_by_role("button", name="Make a link").click()
    address = page.get_by_role("dialog").get_by_role("textbox").input_value()
    for path in (f"/chat/{thread}/print", address.removeprefix(watched.stack.url)):
        watched.open(path)
        expect(page.locator(".message.assistant")).to_contain_text("<script>alert(1)</script>")
        expect_harmless(page, ".message .body")
    watched.open(f"/admin/threads/thread/{quote(thread)}/change/")
    expect(page.locator(".sv-message").last).to_contain_text("<script>alert(1)</script>")
    expect_harmless(page, ".sv-message .sv-rendered")


def test_each_of_them_is_text_before_its_html_is_there(watched: Watched) -> None:
    """What the server makes of it is in ``test_rendering``."""
    told = [message([text(one)]) | {"id": f"msg_{number}"} for number, one in enumerate(CORPUS)]
    page = tell(watched, *(("thread.message.completed", one) for one in told))
    expect(page.locator(".message .body")).to_have_text([*CORPUS])
    expect_harmless(page, ".message .body")


def test_scripts_in_names_files_tools_citations_and_errors_are_text(watched: Watched, upstream: Upstream) -> None:
    page, name = watched.page, f"{EVIL} {unique()}"
    watched.stack.client.assistant(name=name, description=EVIL, instructions=EVIL)
    page.reload()
    choose_assistant(page, name)
    expect(page.locator("#welcome-name")).to_have_text(name)
    file_id = uploaded(watched, "<img src=x onerror=alert(1)>.txt", b"x")
    mark = f"【0:0†{EVIL}】"
    value = f"Yes{mark} sandbox:/mnt/data/<img src=x onerror=alert(1)>.csv"
    path = value.split(" ", 1)[1]
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": EVIL, "arguments": f'{{"a": "{EVIL}"}}', "output": EVIL},
    }
    page = tell(
        watched,
        ("thread.run.step.completed", step([call], "completed")),
        ("thread.message.completed", {
            **message([text(
                value,
                annotation(value, mark, type="file_citation", file_citation={"file_id": EVIL}),
                annotation(value, path, type="file_path", file_path={"file_id": file_id}),
            )]),
            "attachments": [{"file_id": file_id, "tools": []}],
        }),
    )  # fmt: skip
    expect(page.locator(".message .cited")).to_have_attribute("title", EVIL)
    expect_harmless(page, ".message .body .said")
    expect(page.locator(".tool img, .tool script")).to_have_count(0)


def test_an_error_full_of_scripts_is_text(watched: Watched) -> None:
    page = watched.page
    refusal = {"error": {"message": EVIL, "type": "invalid_request_error", "param": None, "code": None}}
    page.route("**/v1/threads/runs", lambda route: route.fulfill(status=400, json=refusal))
    watched.say("Hello?")
    expect(page.get_by_role("alert").filter(has_text=EVIL)).to_be_visible()
    expect(page.locator("#problem img, #problem script")).to_have_count(0)
    watched.problems = [problem for problem in watched.problems if "400" not in problem]


def test_a_passage_full_of_scripts_is_text(watched: Watched, upstream: Upstream) -> None:
    page = watched.page
    answered(watched, upstream, "Yes.")
    told = {"data": {"name": EVIL, "text": EVIL, "is_deleted": False}}
    page.route("**/passage.json*", lambda route: route.fulfill(json=told))
    page.locator(".message.assistant .said").evaluate(
        """(place) => {
          const button = Object.assign(document.createElement("button"), { type: "button", textContent: "1" });
          button.dataset.annotation = "0";
          place.append(Object.assign(document.createElement("sup"), { className: "cited" }));
          place.lastChild.append(button);
        }"""
    )
    page.locator(".cited button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(EVIL)
    expect(dialog.locator("img, script")).to_have_count(0)
