"""What changes by itself, in a browser: it is fetched anew while somebody looks, and what they do there stays."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Watched

pytestmark = pytest.mark.e2e

PATH = "/admin/work/"
TRIES = 60


class Answers:
    """What the script is answered with: the last that was said; how often it asked."""

    def __init__(self, page: Page) -> None:
        self.page, self.asked, self.status, self.html = page, 0, 200, ""
        page.route(f"**{PATH}", self._answer)

    def _answer(self, route: Route) -> None:
        if route.request.resource_type != "fetch":
            route.fallback()
            return
        self.asked += 1
        route.fulfill(status=self.status, content_type="text/html", body=f"<body>{self.html}</body>")

    def say(self, words: str, attributes: str = 'data-refresh="2"') -> None:
        more = '<details id="more"><summary>More</summary>of it</details><input id="typed" aria-label="Typed">'
        self.html = f'<div id="work" {attributes}><p>{words}</p>{more}</div>'

    def wait(self, seconds: int) -> None:
        """Let time go by."""
        self.page.clock.run_for(seconds * 1000)

    def wait_until_asked(self) -> None:
        """Let time go by until the script has asked once more: what it asked before may still be on its way."""
        before = self.asked
        for _ in range(TRIES):
            if self.asked > before:
                return
            self.wait(1)
            self.page.wait_for_timeout(50)
        raise AssertionError("the script asks no more")


@pytest.fixture
def answers(watched: Watched) -> Answers:
    watched.page.clock.install()
    made = Answers(watched.page)
    watched.page.goto(f"{watched.stack.url}{PATH}")
    expect(watched.page.locator("#work")).to_be_visible()
    return made


def test_a_page_moves_by_itself_and_stops_when_it_is_over(answers: Answers) -> None:
    page = answers.page
    answers.say("a quarter")
    answers.wait(11)
    expect(page.get_by_text("a quarter")).to_be_visible()
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Typed").fill("mine")
    answers.say("a half")
    answers.wait_until_asked()
    expect(page.get_by_label("Typed")).to_have_value("mine")  # nobody's typing is taken away
    expect(page.get_by_text("a quarter")).to_be_visible()
    page.get_by_label("Typed").blur()
    answers.wait_until_asked()
    expect(page.get_by_text("a half")).to_be_visible()
    expect(page.locator("#more")).to_have_attribute("open", "")
    answers.say("all of it", attributes="")
    answers.wait_until_asked()
    expect(page.get_by_text("all of it")).to_be_visible()
    before = answers.asked
    answers.wait(120)
    assert answers.asked == before


def test_a_page_that_does_not_answer_is_asked_less_often_and_moves_on_when_it_does(
    answers: Answers, watched: Watched
) -> None:
    page = answers.page
    answers.say("a quarter")
    answers.wait(11)
    expect(page.get_by_text("a quarter")).to_be_visible()
    answers.status, before = 503, answers.asked
    for _ in range(12):
        answers.wait(5)
    assert 1 <= answers.asked - before <= 6  # after 2, 4, 8, 16 … seconds
    answers.status = 200
    answers.say("a half")
    for _ in range(13):
        answers.wait(5)
    expect(page.get_by_text("a half")).to_be_visible()
    watched.problems = [problem for problem in watched.problems if "503" not in problem]  # as the browser notes each
