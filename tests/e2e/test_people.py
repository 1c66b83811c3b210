"""People come in from elsewhere, read in their language, and end a session that they have left open, in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, profile_of
from tests.support.fixtures import started
from tests.support.oidc_provider import OidcProvider
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    made = OidcProvider()
    made.claims = {"sub": "dana-1", "email": "dana@example.org", "email_verified": True, "name": "Dana Diaz"}
    yield made
    made.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, provider: OidcProvider) -> Iterator[Stack]:
    """A server of its own: sessions are ended in it."""
    folder = tmp_path_factory.mktemp("people")
    settings = {**provider.environment, "OIDC_EMAIL_DOMAINS": "example.org"}
    stack = started(Stack(folder, engine_url=upstream.url, **settings))
    try:
        stack.await_log(stack.up(), "engine_ready")  # until then its models are unknown
        yield stack
    finally:
        stack.destroy()


@pytest.fixture
def profile(chromium: Browser, house: Stack) -> Iterator[Callable[..., Page]]:
    """``profile()``: a page of another browser."""
    contexts = []

    def make(locale: str = "en-US") -> Page:
        context = profile_of(chromium, locale=locale, base_url=house.url)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


def log_in(page: Page, house: Stack, following: str = "/chat/") -> None:
    page.goto(f"/login?next={following}")
    page.locator("#id_username").fill(house.user)
    page.locator("#id_password").fill(house.password)
    page.locator(".fields button").click()
    page.wait_for_url(f"**{following}")


def test_somebody_comes_from_elsewhere(profile: Callable[..., Page]) -> None:
    page = profile()
    page.goto("/login?next=/account/")
    page.get_by_role("button", name="Continue with Test house").click()
    page.wait_for_url("**/account/")
    expect(page.get_by_text("dana@example.org")).to_be_visible()
    expect(page.get_by_label("First name")).to_have_value("Dana")
    assert findings(page) == []


def test_an_account_is_connected_with_its_password_and_disconnected(
    profile: Callable[..., Page], house: Stack, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "claims", {"sub": "root-1", "email": "root@example.net", "email_verified": True})
    page, other = profile(), profile()
    log_in(page, house, "/account/")
    page.get_by_role("link", name="Connect Test house").click()
    password, go_on = (
        page.get_by_label("Your password here"),
        page.get_by_role("button", name="Continue with Test house"),
    )
    password.fill("guess")
    go_on.click()
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    assert findings(page) == []
    password.fill(house.password)
    go_on.click()
    expect(page.get_by_text("You can log in with Test house, too.")).to_be_visible()
    other.goto("/login?next=/account/")
    other.get_by_role("button", name="Continue with Test house").click()
    expect(other.get_by_text(house.user, exact=True).first).to_be_visible()
    page.get_by_role("button", name="Disconnect Test house").click()
    expect(page.get_by_text("From now on you log in with your password.")).to_be_visible()
    expect(page.get_by_role("link", name="Connect Test house")).to_be_visible()
    assert findings(page) == []


def test_where_a_project_forbids_links_the_chat_offers_none(profile: Callable[..., Page], house: Stack) -> None:
    page = profile()
    log_in(page, house)
    page.get_by_label("Your message").fill("Is this for everybody?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".message.assistant:not(.writing)")).to_have_count(1, timeout=LATER)
    page.get_by_role("button", name="Share or export").click()
    dialog = page.get_by_role("dialog", name="Share this conversation")
    dialog.get_by_role("button", name="Make a link").click()
    address = dialog.get_by_role("textbox").input_value()
    admin = page.context.new_page()
    admin.goto("/admin/accounts/project/")
    admin.locator("#result_list tbody th a").first.click()
    expect(admin.get_by_role("button", name="Save", exact=True)).to_be_visible()
    assert findings(admin) == []
    admin.get_by_label("Conversations may be shared by links").uncheck()
    admin.get_by_role("button", name="Save", exact=True).click()
    admin.wait_for_url("**/admin/accounts/project/")
    dialog.get_by_role("button", name="Make a link").click()  # of a page that was opened before
    expect(dialog.get_by_role("alert")).to_contain_text("Sharing by links is turned off in this project.")
    page.reload()
    page.get_by_role("button", name="Share or export").click()
    expect(dialog.get_by_text("Sharing by links is turned off in this project.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Make a link")).to_have_count(0)
    assert findings(page) == []
    assert admin.goto(address).status == 404  # type: ignore[union-attr]


def test_a_session_that_ends_elsewhere_costs_nothing_that_was_typed(profile: Callable[..., Page], house: Stack) -> None:
    left, here = profile(), profile()
    log_in(left, house)
    left.get_by_label("Your message").fill("Good morning from a browser that stays open")
    left.get_by_role("button", name="Send").click()
    expect(left.locator(".message.assistant:not(.writing)")).to_have_count(1)
    left.get_by_label("Your message").fill("Half a thought")
    log_in(here, house, "/account/sessions")
    assert findings(here) == []
    here.get_by_role("button", name="Log out everywhere else").click()
    expect(here.get_by_role("listitem")).to_have_count(1)
    expect(left.get_by_text("Your session has ended")).to_be_visible()  # by itself: its socket was closed
    expect(left.get_by_label("Your message")).to_have_value("Half a thought")
    left.locator("#problem").get_by_role("link", name="Log in").click()
    left.locator("#id_username").fill(house.user)
    left.locator("#id_password").fill(house.password)
    left.locator(".fields button").click()
    expect(left.get_by_label("Your message")).to_have_value("Half a thought")


def test_the_chat_speaks_german(profile: Callable[..., Page], house: Stack) -> None:
    page = profile("de-DE")
    log_in(page, house)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name="Neue Unterhaltung")).to_be_visible()
    expect(page.locator("#connection")).not_to_contain_text("Connect")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("link", name="New conversation")).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
