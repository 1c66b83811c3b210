"""``python -m tests.screenshots [NAME…]``: the pictures of the documentation, of a museum with the starter model.

All that is on them is real: a server, a worker, vLLM, a browser. Names and questions are the same each time; ids,
moments and milliseconds are not.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.contrib.admin.utils import quote
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from inference.starter.persona import DEMO_NAME
from tests.e2e.conftest import ARGUMENTS, Watched, choose_assistant, program
from tests.support.museum import DESK, QUESTIONS, Museum, furnish
from tests.support.processes import ROOT, Stack
from tests.support.site import Site, serving

FOLDER = ROOT / "docs" / "images"
MODEL = "sovereign-starter"
LARGEST = 200_000  # bytes of a picture
COLOURS = 256
TALL = {"width": 1280, "height": 1300}
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
SMALL = {"width": 760, "height": 940}
LOADED = 600.0  # seconds: vLLM, on what the machine has left
ANSWERED = 120_000  # milliseconds
CAFE = QUESTIONS[0]
#: what the guide is asked that comes with the product
WHAT, START = "What is Sovereign?", "How do I start Sovereign?"
PROTOCOL, PRIVATE = "How do I get an API key?", "Is my data private?"


def nothing(page: Page) -> None:
    """The page is as it is opened."""


def replay(page: Page) -> None:
    page.get_by_label("Version", exact=True).select_option("1")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("region", name="What is different")).to_be_visible(timeout=ANSWERED)


def ask_both(page: Page) -> None:
    page.get_by_label("What answers on the right").select_option("version-1")
    page.get_by_label("Your message").fill(QUESTIONS[0])
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=ANSWERED)
    page.keyboard.press("Enter")
    for name in ("Left", "Right"):
        expect(page.get_by_role("region", name=name, exact=True).locator(".figures")).to_be_visible(timeout=ANSWERED)


def ask(page: Page, question: str) -> None:
    """Send it, and wait for the answer."""
    answers = page.locator(".message.assistant .said:not(.plain)")
    number = answers.count()
    page.get_by_label("Your message", exact=True).fill(question)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=ANSWERED)
    page.keyboard.press("Enter")
    expect(answers).to_have_count(number + 1, timeout=ANSWERED)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=ANSWERED)


def asking(assistant: str, *questions: str) -> Callable[[Page], None]:
    """These, in the chat."""

    def talk(page: Page) -> None:
        choose_assistant(page, assistant)
        for question in questions:
            ask(page, question)

    return talk


def branch(page: Page) -> None:
    """The second question is put in three ways, of which the second is looked at."""
    asking(DEMO_NAME, WHAT, START)(page)
    for number, question in enumerate((PROTOCOL, PRIVATE), start=2):
        page.get_by_role("button", name="Edit, on a branch").last.click()
        page.get_by_role("textbox", name="Your message, otherwise").fill(question)
        page.keyboard.press("Enter")
        _is_way(page, number)
    page.get_by_role("link", name="Previous version").click()
    _is_way(page, 2)


def _is_way(page: Page, number: int) -> None:
    """The page shows that way of those in which the conversation goes on, whole."""
    expect(page.locator(".versions")).to_contain_text(f"{number} of", timeout=ANSWERED)
    expect(page.locator(".message.assistant .said:not(.plain)")).to_have_count(2, timeout=ANSWERED)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=ANSWERED)


def compare(page: Page) -> None:
    for side, name in (("left", DESK), ("right", DEMO_NAME)):
        page.locator(f"[data-side={side}]").get_by_role("combobox").select_option(label=name)
    page.get_by_label("Your message", exact=True).fill(CAFE)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=ANSWERED)
    page.keyboard.press("Enter")
    expect(page.locator("section .message.assistant .said:not(.plain)")).to_have_count(2, timeout=ANSWERED)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=ANSWERED)


def visit(page: Page) -> None:
    """Somebody on the museum's site asks what is embedded there."""
    page.get_by_role("button", name="Open chat").click()
    frame = page.frame_locator("iframe")
    frame.get_by_label("Your message").fill(CAFE)
    expect(frame.get_by_role("button", name="Send")).to_be_enabled(timeout=ANSWERED)
    frame.get_by_label("Your message").press("Enter")
    expect(frame.locator(".message.assistant .said:not(.plain)")).to_be_visible(timeout=ANSWERED)
    expect(frame.get_by_role("button", name="Send")).to_be_visible(timeout=ANSWERED)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its name, the page, what is done there first, and how it is looked at.

    :ivar is_of_site: the page is one of the museum's site.
    """

    name: str
    path: str
    before: Callable[[Page], None] = nothing
    dark: bool = False
    phone: bool = False
    tall: bool = False
    small: bool = False
    is_of_site: bool = False


OF_DESK = "/admin/assistants/assistant/{assistant}"
SHOTS = (
    Shot("home", "/admin/"),
    Shot("home-dark", "/admin/", dark=True),
    Shot("assistant", f"{OF_DESK}/change/"),
    Shot("try", f"{OF_DESK}/try/", ask_both),
    Shot("versions", f"{OF_DESK}/versions/"),
    Shot("deployments", f"{OF_DESK}/deployments/"),
    Shot("deployments-phone", f"{OF_DESK}/deployments/", phone=True),
    Shot("analytics", "/admin/analytics/grade/of/{assistant}/"),
    Shot("analytics-dark", "/admin/analytics/grade/of/{assistant}/", dark=True),
    Shot("run", "/admin/runs/run/{run}/change/", tall=True),
    Shot("replay", "/admin/runs/run/{run}/replay/", replay),
    Shot("chat", "/chat/", asking(DESK, CAFE)),
    Shot("chat-dark", "/chat/", asking(DEMO_NAME, WHAT, START), dark=True),
    Shot("chat-phone", "/chat/", asking(DESK, CAFE), phone=True),
    Shot("chat-phone-dark", "/chat/", asking(DEMO_NAME, WHAT, START), phone=True, dark=True),
    Shot("branch", "/chat/", branch),
    Shot("compare", "/chat/compare", compare),
    Shot("account", "/account/", small=True),
    Shot("embed", "/", visit, is_of_site=True),
    Shot("embed-phone", "/", visit, phone=True, is_of_site=True),
)


def main(names: Sequence[str]) -> int:
    """Take those that are named, or all."""
    python = Path(os.environ.get("SOVEREIGN_ENGINE_PYTHON") or ROOT / "var" / "engine" / "bin" / "python")
    if not python.exists():
        print("The engine is not installed: manage.py install_engine")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "stack", engine_url="", SOVEREIGN_ENGINE_PYTHON=str(python))
        try:
            stack.up()
            stack.await_engine(LOADED)
            with serving() as site:
                take([shot for shot in SHOTS if not names or shot.name in names], stack, furnish(stack, MODEL), site)
        finally:
            stack.destroy()
    return 0


def take(shots: Sequence[Shot], stack: Stack, museum: Museum, site: Site) -> None:
    ids = {"assistant": quote(museum.assistant), "run": quote(museum.runs[0]), "thread": quote(museum.threads[0])}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        for shot in shots:
            context = _context(browser, shot)
            if shot.is_of_site:
                site.line = site.line or embed(browser, stack, museum, site)
                page = context.new_page()
                page.goto(site.url)
                _keep(page, shot)
            else:
                watched = Watched(context.new_page(), stack)
                watched.log_in("/admin/")
                _keep(watched.open(shot.path.format(**ids)), shot)
                assert watched.problems == [], watched.problems
            context.close()
        browser.close()


def _keep(page: Page, shot: Shot) -> None:
    page.wait_for_load_state("networkidle")
    shot.before(page)
    page.wait_for_load_state("networkidle")
    print(f"{shot.name}: {keep(page.screenshot(), FOLDER / f'{shot.name}.png'):,} bytes", flush=True)


def embed(browser: Browser, stack: Stack, museum: Museum, site: Site) -> str:
    """Made in the admin, as the museum's people would: the line that the site's pages get."""
    context = browser.new_context()
    watched = Watched(context.new_page(), stack)
    watched.log_in("/admin/")
    page = watched.open("/admin/embeds/embedkey/add/")
    page.locator("[name=assistant]").select_option(museum.assistant)
    page.locator("[name=environment]").select_option("testing")
    page.locator("[name=name]").fill("The museum's site")
    page.locator("[name=origins]").fill(site.url)
    page.locator("[name=allows_anonymous]").check()
    page.get_by_role("button", name="Save and continue editing").click()
    line = page.get_by_text("<script src=").inner_text()
    context.close()
    return line


def _context(browser: Browser, shot: Shot) -> BrowserContext:
    return browser.new_context(
        viewport=PHONE if shot.phone else TALL if shot.tall else SMALL if shot.small else DESKTOP,  # type: ignore[arg-type]
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
        timezone_id="Europe/Helsinki",
    )


def keep(picture: bytes, path: Path) -> int:
    """Write it with as few colours as nobody misses; gives its size.

    :raises AssertionError: it is too large for a repository.
    """
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size < LARGEST, f"{path} has {size} bytes"
    return size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
