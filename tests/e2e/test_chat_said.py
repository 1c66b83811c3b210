"""What is said is shown by the server's HTML, copied, taken along and shared, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import LATER, Watched, click_and_see, expect_copied, profile_of
from tests.support.client import unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e

RICH = """## Trains

They leave **hourly**, $x^2$ of them:

| From | At |
|:-----|---:|
| Here | 7 |

```python
def leave(): return "now"
```

[the timetable](https://trains.example.org/all) ![a map](https://trains.example.org/map.png)
"""


def answered(watched: Watched, upstream: Upstream, text: str, question: str = "") -> Locator:
    """The answer's text, once it is the server's HTML."""
    key, said = unique(), question or f"Question {unique()}"
    upstream.teach({key: text})
    watched.say(f"{said} [text={key}]")
    body = watched.page.locator(".message.assistant").last.locator(".body")
    expect(body.locator(".said:not(.plain)")).to_be_visible(timeout=LATER)
    return body


def test_an_answer_becomes_the_servers_html_at_its_end_and_is_found_so_again(
    watched: Watched, upstream: Upstream
) -> None:
    page = watched.page
    body = answered(watched, upstream, RICH)
    for _ in range(2):  # as it came, and as it is found again
        expect(body.get_by_role("heading", name="Trains")).to_be_visible()
        expect(body.locator("strong")).to_have_text("hourly")
        expect(body.locator("math")).to_be_visible()
        expect(body.get_by_role("cell", name="7")).to_be_visible()
        expect(body.locator(".t-keyword").first).to_have_text("def")
        expect(body.get_by_role("link", name="the timetable")).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(body).to_contain_text("(trains.example.org)")
        expect(body).to_contain_text("a map (https://trains.example.org/map.png)")
        page.reload()
        body = page.locator(".message.assistant .body")
        expect(body.locator(".said:not(.plain)")).to_be_visible(timeout=LATER)
    expect(page.locator(".message.user .plain")).to_have_css("white-space", "pre-wrap")


def test_code_and_messages_are_copied(watched: Watched, upstream: Upstream) -> None:
    page = watched.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=watched.stack.url)
    body = answered(watched, upstream, RICH)
    body.locator(".code").get_by_role("button", name="Copy").click()
    expect_copied(page, 'def leave(): return "now"')
    click_and_see(page.locator(".message.assistant").get_by_role("button", name="Copy this message"), "Copied")
    expect_copied(page, RICH.strip())


def test_where_html_cannot_be_had_the_text_stays(watched: Watched, upstream: Upstream) -> None:
    page, key = watched.page, unique()
    page.route("**/rendered.json*", lambda route: route.fulfill(status=503, json={"error": {"message": "no"}}))
    upstream.teach({key: "They leave **hourly**."})
    watched.say(f"When? [text={key}]")
    body = page.locator(".message.assistant .body")
    expect(body).to_have_text("They leave **hourly**.", timeout=LATER)
    page.unroute("**/rendered.json*")
    answered(watched, upstream, "Yes.")
    expect(body.first).to_have_text("They leave hourly.")  # it comes with the next
    watched.problems = [problem for problem in watched.problems if "503" not in problem]


def opened_dialog(page: Page) -> Locator:
    page.get_by_role("button", name="Share or export").click()
    dialog = page.get_by_role("dialog", name="Share this conversation")
    expect(dialog).to_be_visible()
    return dialog


def test_a_conversation_is_shared_read_by_a_stranger_and_revoked(
    watched: Watched, upstream: Upstream, chromium: Browser
) -> None:
    page = watched.page
    title = f"Trains {unique()}"
    answered(watched, upstream, RICH, title)
    dialog = opened_dialog(page)
    dialog.get_by_role("button", name="Make a link").click()
    address = dialog.get_by_role("textbox").input_value()
    assert re.fullmatch(rf"{re.escape(watched.stack.url)}/s/[\w-]{{43}}", address)

    context = profile_of(chromium)
    stranger = Watched(context.new_page(), watched.stack)
    stranger.page.goto(address)
    expect(stranger.page.get_by_role("heading", level=1)).to_contain_text(title)
    expect(stranger.page.locator("strong")).to_have_text("hourly")
    expect(stranger.page.locator(".code").get_by_role("button", name="Copy")).to_be_visible()
    page.keyboard.press("Escape")
    dialog = opened_dialog(page)
    expect(dialog.get_by_role("textbox")).to_have_value(address)  # it is seen again
    expect(dialog).to_contain_text("last read")
    dialog.get_by_role("button", name=re.compile("^Revoke the link")).click()
    expect(dialog.get_by_role("textbox")).to_have_count(0)
    assert stranger.page.goto(address).status == 404  # type: ignore[union-attr]
    context.close()
    assert [problem for problem in stranger.problems if "404" not in problem] == []


def test_a_conversation_is_taken_along_and_printed(watched: Watched, upstream: Upstream, tmp_path: Path) -> None:
    page = watched.page
    answered(watched, upstream, RICH)
    dialog = opened_dialog(page)
    for name, mark in (("Markdown", "> They leave **hourly**"), ("JSON", '"thread.message"')):
        with page.expect_download() as download:
            dialog.get_by_role("link", name=name).click()
        assert mark in Path(download.value.path()).read_text()
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Print or PDF").click()
    paper = opened.value
    expect(paper.locator("strong")).to_have_text("hourly")
    paper.evaluate("window.print = () => { document.title = 'printing'; }")
    paper.get_by_role("button", name="Print or save as PDF").click()
    assert paper.title() == "printing"
    content = paper.pdf(path=tmp_path / "conversation.pdf")
    assert content.startswith(b"%PDF")
    paper.emulate_media(media="print")
    expect(paper.get_by_role("button", name="Print or save as PDF")).to_be_hidden()
    paper.close()
