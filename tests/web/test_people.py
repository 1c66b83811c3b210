"""How people come in by password and by invitation, and what their own pages let them do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from sovereign.accounts import credentials, services
from sovereign.accounts.models import Invitation, Membership, Project, User
from sovereign.web.people.sessions import device

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
PAGE = {"Accept": "text/html"}
DOCUMENT = {**PAGE, "Sec-Fetch-Dest": "document"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1"


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def login(alice: User, project: Project) -> Callable[..., Client]:
    """``login(agent)``: another browser of Alice's."""
    alice.set_password(PASSWORD)
    alice.save()

    def make(agent: str = FIREFOX) -> Client:
        client = Client(headers={"User-Agent": agent})
        answer = client.post("/login", {"username": "alice", "password": PASSWORD})
        assert answer.status_code == 302
        return client

    return make


# ------------------------------------------------------------------------------------------------ login


def test_who_tries_too_often_waits_also_with_the_right_password(login: Callable[..., Client]) -> None:
    login()
    attacker = Client()
    for _ in range(10):
        attacker.post("/login", {"username": "Alice", "password": "guess"})
    answer = attacker.post("/login", {"username": "alice", "password": PASSWORD})
    assert (answer.status_code, "Too many failed login attempts" in answer.content.decode()) == (200, True)
    assert credentials.SESSION_KEY not in attacker.session


def test_what_the_server_is_called_gives_nobody_more_tries(login: Callable[..., Client]) -> None:
    client = Client()
    for port in range(1, 11):
        client.post("/login", {"username": "ＡLICE", "password": "guess"}, headers={"Host": f"localhost:{port}"})
    given = {"username": "alice", "password": PASSWORD}
    assert "Too many" in client.post("/login", given, headers={"Host": "localhost:99"}).content.decode()
    assert client.post("/login", given, REMOTE_ADDR="10.0.0.9").status_code == 302, "who is elsewhere is not shut out"


def test_many_addresses_have_an_end_too(login: Callable[..., Client], settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "login_failed": "30/m/ip,4/5m/key"}
    for number in range(4):
        Client().post("/login", {"username": "alice", "password": "guess"}, REMOTE_ADDR=f"10.0.{number}.1")
    given = {"username": "alice", "password": PASSWORD}
    assert "Too many" in Client().post("/login", given, REMOTE_ADDR="10.1.0.1").content.decode()


def test_one_address_cannot_try_many_names(db: None) -> None:
    client = Client()
    answers = [client.post("/login", {"username": f"n{i}", "password": "x"}).content.decode() for i in range(31)]
    assert ["Too many" in answer for answer in answers] == [False] * 30 + [True]


def test_attempts_are_counted_by_whom_a_proxy_names(login: Callable[..., Client], settings: Any) -> None:
    """And a session has that address, too; who comes past the proxy gets no more tries by naming others."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, public_url="https://ai.example.org")
    guess, right = {"username": "alice", "password": "guess"}, {"username": "alice", "password": PASSWORD}

    def refused(peer: str, client: str, given: dict[str, str]) -> bool:
        answer = Client().post("/login", given, REMOTE_ADDR=peer, headers={"X-Forwarded-For": client})
        return "Too many" in answer.content.decode()

    assert not any(refused("10.0.0.1", f"6.6.6.{number}", guess) for number in range(10))
    assert refused("10.0.0.1", "6.6.6.99", right), "all of them were the peer's"
    assert not any(refused("127.0.0.1", "6.6.6.6", guess) for _ in range(10))
    assert refused("127.0.0.1", "6.6.6.6", right)
    assert not refused("127.0.0.1", "7.7.7.7", right)
    assert UserSession.objects.get().ip == "7.7.7.7"


def test_the_admin_has_the_same_door(client: Client, login: Callable[..., Client]) -> None:
    sent = client.get("/admin/assistants/assistant/")
    door = client.get(sent["Location"])
    assert door["Location"].startswith("/login?next=/admin/assistants/assistant/")
    assert client.post("/admin/login/", {"username": "alice", "password": PASSWORD}).status_code == 302
    assert "_auth_user_id" not in client.session
    assert login().get("/admin/login/")["Location"] == "/admin/"


def test_who_has_no_business_in_the_admin_is_told_so(project: Project) -> None:
    viewer = User.objects.create_user("vera")
    services.add_member(project=project, user=viewer, role="viewer")
    client = Client(headers=PAGE)
    client.force_login(viewer)
    answer = client.get("/admin/", follow=True)
    assert (answer.status_code, "not yours" in answer.content.decode()) == (403, True)


# ------------------------------------------------------------------------------------------------ invitations


@pytest.fixture
def invited(project: Project) -> str:
    return f"/invitations/{services.invite(project=project, email='new@example.org')[1]}"


def test_somebody_new_makes_an_account_and_is_in(client: Client, invited: str, project: Project) -> None:
    page = client.get(invited)
    assert "no-store" in page["Cache-Control"]
    given = {"username": "nina", "first_name": "Nina", "password1": PASSWORD, "password2": PASSWORD}
    for wrong in ({"password1": "short", "password2": "short"}, {"password2": "other"}, {"username": "no spaces"}):
        assert client.post(invited, given | wrong).status_code == 422
    assert client.post(invited, given)["Location"] == "/chat/"
    nina = User.objects.get(username="nina")
    assert (Membership.objects.get(user=nina).role, nina.is_staff, nina.get_short_name()) == ("viewer", False, "Nina")
    assert client.get("/chat/").status_code == 200
    assert UserSession.objects.filter(user=nina).count() == 1
    assert Client(headers=PAGE).get(invited).status_code == 404


def test_somebody_known_joins(visit: Callable[[User], Client], invited: str, charlie: User, project: Project) -> None:
    client = visit(charlie)
    assert "logged in as charlie" in client.get(invited).content.decode()
    assert Invitation.objects.get().state == "open"  # looking is not joining
    assert client.post(invited)["Location"] == "/chat/"
    assert client.session[credentials.SESSION_PROJECT] == project.pk
    assert client.post(invited).status_code == 404


def test_a_member_is_told_and_keeps_the_invitation(
    visit: Callable[[User], Client], invited: str, bob: User, client: Client
) -> None:
    answer = visit(bob).post(invited)
    assert "member already" in answer.content.decode()
    assert client.get(invited).status_code == 200


def test_joining_asks_for_the_token_of_the_page(invited: str, charlie: User, browser_of: Callable[..., Client]) -> None:
    assert browser_of(charlie).post(invited).status_code == 403
    assert Invitation.objects.get().state == "open"


# ------------------------------------------------------------------------------------------------ the account


def test_people_say_how_they_read(login: Callable[..., Client], alice: User) -> None:
    client = login()
    given = {"first_name": "Alice", "last_name": "A", "language": "de", "time_zone": "Asia/Kolkata"}
    assert client.post("/account/", given)["Location"] == "/account/"
    page = client.get("/account/").content.decode()
    assert ('<html lang="de">' in page, 'value="Asia/Kolkata" selected' in page) == (True, True)
    assert client.post("/account/", given | {"language": "xx"}).status_code == 422
    assert client.post("/account/", given | {"time_zone": "Mars/Olympus"}).status_code == 422
    client.post("/account/", given | {"language": "", "is_superuser": "on", "username": "root"})
    begun = UserSession.objects.get().created_at.astimezone(ZoneInfo("Asia/Kolkata"))
    assert f"since {begun:%Y-%m-%d %H:%M}" in client.get("/account/sessions").content.decode()
    alice.refresh_from_db()
    assert (alice.language, alice.is_superuser, alice.username) == ("", False, "alice")
    assert '<html lang="en">' in client.get("/account/").content.decode()


def test_another_password_ends_the_other_sessions(login: Callable[..., Client], alice: User) -> None:
    here, elsewhere = login(), login(SAFARI)
    new = {"old_password": PASSWORD, "new_password1": "a better one, really", "new_password2": "a better one, really"}
    assert here.post("/account/password", new | {"old_password": "guess"}).status_code == 422
    assert here.post("/account/password", new)["Location"] == "/account/"
    assert (here.get("/account/").status_code, elsewhere.get("/account/").status_code) == (200, 302)
    assert [one.session_key for one in UserSession.objects.purge_and_list(alice)] == [here.session.session_key]


def test_guessing_the_old_password_ends_soon(login: Callable[..., Client]) -> None:
    client = login()
    new = {"old_password": "guess", "new_password1": "a better one, really", "new_password2": "a better one, really"}
    for _ in range(5):
        client.post("/account/password", new)
    answers = [client.post("/account/password", new | {"old_password": old}) for old in (PASSWORD, "guess")]
    pages = [re.sub(r'value="\w{64}"|nonce="[^"]*"', "", answer.content.decode()) for answer in answers]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert ("Too many" in pages[0], pages[0] == pages[1]) == (True, True), "nothing tells which was right"


def test_an_invitation_is_not_tried_without_end(client: Client, db: None) -> None:
    assert {client.post("/invitations/unknown").status_code for _ in range(20)} == {404}
    assert client.post("/invitations/unknown").status_code == 429


def test_sessions_are_listed_and_ended(login: Callable[..., Client], alice: User, charlie: User) -> None:
    here, phone, third = login(), login(SAFARI), login()
    principal = credentials.principal_of_person(alice.pk)
    socket = credentials.login_of(principal, phone.session)
    page = here.get("/account/sessions").content.decode()
    assert (page.count("Firefox, Linux"), page.count("Safari, iOS")) == (3, 2)  # names, and labels of buttons
    assert "this one" in page
    row = UserSession.objects.get(session_key=phone.session.session_key)
    stranger = Client()
    stranger.force_login(charlie)
    assert stranger.post("/account/sessions/end", {"session": row.pk}).status_code == 404
    assert credentials.still_valid(principal, socket)
    assert here.post("/account/sessions/end", {"session": row.pk}).status_code == 302
    assert not credentials.still_valid(principal, socket)
    assert (phone.get("/account/").status_code, third.get("/account/").status_code) == (302, 200)
    here.post("/account/sessions/end", {"others": "1"})
    assert (here.get("/account/").status_code, third.get("/account/").status_code) == (200, 302)
    for wrong in ("", "x", "9" * 30, str(row.pk)):
        assert here.post("/account/sessions/end", {"session": wrong}).status_code == 404


def test_a_session_is_noted_as_seen_now_and_then(login: Callable[..., Client]) -> None:
    client = login()
    old = timezone.now() - timedelta(days=1)
    UserSession.objects.update(last_seen_at=old)
    client.get("/chat/", headers=PAGE)
    assert UserSession.objects.get().last_seen_at == old  # no page that somebody opened
    client.get("/chat/", headers=DOCUMENT)
    assert UserSession.objects.get().last_seen_at > old
    UserSession.objects.update(last_seen_at=old)
    client.get("/chat/", headers=DOCUMENT)
    assert UserSession.objects.get().last_seen_at == old  # five minutes are not over


@pytest.mark.parametrize("path", ["/account/", "/account/password", "/account/sessions"])
def test_accounts_are_for_those_who_are_logged_in(client: Client, db: None, path: str) -> None:
    assert client.get(path)["Location"] == f"/login?next={path}"


def test_devices_are_called_what_people_call_them() -> None:
    assert device(SAFARI) == "Safari, iOS"
    assert device("curl/8") == "Another device"
