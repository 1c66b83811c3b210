"""Logging in elsewhere (OpenID Connect), against a small real provider: who comes in, and who does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from allauth.socialaccount.models import SocialAccount
from django.conf import settings as django_settings
from django.core.cache import caches
from django.http import HttpResponse
from django.test import Client

from sovereign.accounts import audit, services
from sovereign.accounts.models import AuditEvent, Invitation, Membership, Project, User
from sovereign.core.configuration import SignOn
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider

pytestmark = pytest.mark.django_db

DANA = {
    "sub": "dana-1", "email": "dana@example.org", "email_verified": True, "preferred_username": "dana",
    "given_name": "Dana", "family_name": "Diaz",
}  # fmt: skip
PAGE = {"Accept": "text/html"}
PASSWORD = "correct horse battery"
CONNECT = "/account/connect"


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    for cache in caches.all():
        cache.clear()


@pytest.fixture(scope="module")
def running() -> Iterator[OidcProvider]:
    provider = OidcProvider()
    yield provider
    provider.close()


@pytest.fixture
def house(running: OidcProvider, settings: Any, project: Project) -> OidcProvider:
    """The provider, with Dana at its door; people of example.org may come to Alice's project by themselves."""
    running.claims, running.false_claims, running.user_info, running.forged = dict(DANA), {}, {}, False
    running.asked.clear()
    _set(settings, running, email_domains=frozenset({"example.org"}), project=project.pk)
    return running


def _set(settings: Any, provider: OidcProvider, **changes: Any) -> None:
    sign_on = SignOn(
        issuer=provider.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, name="Test house",
        email_domains=frozenset(), project="", role="viewer",
    )  # fmt: skip
    settings.SOVEREIGN = replace(django_settings.SOVEREIGN, sign_on=replace(sign_on, **changes))


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def sent_back(client: Client, door: str = "/login/oidc", **form: str) -> str:
    """Go to the provider, as the button does: the address that the browser is sent back to."""
    begun = client.post(door, form, headers=PAGE)
    assert begun.status_code == 200
    address = begun.content.decode().partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&")
    try:
        build_opener(_Stay).open(address)
    except OSError as answer:  # urllib calls a redirect that is not followed an error
        return str(answer.headers["Location"])  # type: ignore[attr-defined]
    raise AssertionError("the provider sent nobody back")


def log_in(client: Client, door: str = "/login/oidc", **form: str) -> HttpResponse:
    return client.get(sent_back(client, door, **form).removeprefix("http://testserver"), headers=PAGE)  # type: ignore[return-value]


def connect(client: Client, password: str = PASSWORD) -> HttpResponse:
    return log_in(client, CONNECT, password=password)


def refusals() -> list[tuple[str, str]]:
    """Of arrivals, as the audit log has them: whose, and why."""
    told = AuditEvent.objects.filter(action="user.arrival_refused", object_type="arrival").order_by("id")
    return [(event.object_id, event.details["reason"]) for event in told]


def is_logged_in(client: Client) -> bool:
    return client.get("/chat/").status_code == 200


def test_somebody_of_a_trusted_domain_comes_in_once_and_again(
    client: Client, house: OidcProvider, project: Project
) -> None:
    answer = log_in(client, next="/chat/")
    assert (answer.status_code, answer["Location"]) == (302, "/chat/")
    dana = User.objects.get(username="dana")
    assert (dana.email, dana.get_full_name(), dana.is_staff) == ("dana@example.org", "Dana Diaz", False)
    assert not dana.has_usable_password()
    assert Membership.objects.get(user=dana).role == "viewer"
    assert is_logged_in(client)
    other = Client()
    assert log_in(other).status_code == 302
    assert other.session["_auth_user_id"] == str(dana.pk)
    assert User.objects.filter(username__startswith="dana").count() == 1
    told = AuditEvent.objects.filter(object_type="user", object_id=str(dana.pk)).values_list("action", flat=True)
    assert set(told) == {"user.registered", "user.connected"}


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email": "dana@example.org.evil.example"},
        {"email": "dana@evil.example"},
        {"email": "dana@evil.example, dana@example.org"},
        {"email": ["dana@example.org"]},
    ],
)
def test_nobody_else_comes_in_uninvited(client: Client, house: OidcProvider, claims: dict[str, Any]) -> None:
    house.claims |= claims
    answer = log_in(client)
    assert (answer.status_code, "invitation" in answer.content.decode()) == (403, True)
    assert not is_logged_in(client)
    assert not User.objects.filter(username="dana").exists()
    assert refusals() == [("dana-1", "not_invited")]


def test_an_email_address_leads_to_nobodys_account(client: Client, house: OidcProvider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="Dana@Example.org", is_superuser=True)
    answer = log_in(client)
    assert (answer.status_code, "connect it" in answer.content.decode()) == (403, True)
    assert not is_logged_in(client)
    assert not SocialAccount.objects.exists()
    assert refusals() == [("dana-1", "address_of_an_account")]


@pytest.fixture
def hers(alice: User, visit: Callable[[User], Client]) -> Client:
    """Alice's browser; she has a password."""
    return with_password(alice, visit)


def with_password(user: User, visit: Callable[[User], Client]) -> Client:
    user.set_password(PASSWORD)
    user.save()
    return visit(user)


def test_a_person_connects_their_own_account(
    hers: Client, visit: Callable[[User], Client], client: Client, house: OidcProvider, alice: User, bob: User
) -> None:
    assert "Connect Test house" in hers.get("/account/").content.decode()
    assert connect(hers)["Location"] == "/account/"
    assert "You can log in with Test house" in hers.get("/account/").content.decode()
    assert hers.get(CONNECT)["Location"] == "/account/"
    assert log_in(client).status_code == 302
    assert client.session["_auth_user_id"] == str(alice.pk)
    his = with_password(bob, visit)
    connect(his)  # who is somebody here already stays that
    assert SocialAccount.objects.get().user == alice
    assert refusals() == [("dana-1", "connected_to_another")]
    assert AuditEvent.objects.get(action="user.arrival_refused").details["user"] == bob.pk


def test_connecting_asks_for_the_password(hers: Client, alice: User, house: OidcProvider) -> None:
    for given in ("guess", ""):
        answer = hers.post(CONNECT, {"password": given}, headers=PAGE)
        assert (answer.status_code, 'content="0; url=' in answer.content.decode()) == (422, False)
    assert "This is not your password." in hers.post(CONNECT, {"password": "x"}, headers=PAGE).content.decode()
    for way in ({"process": "connect"}, {"process": "connect", "password": PASSWORD}):
        assert hers.post("/login/oidc", way, headers=PAGE).status_code == 400, "the other door does not connect"
    assert hers.post("/login/oidc?process=connect", headers=PAGE).status_code == 400
    assert house.asked == []
    assert not SocialAccount.objects.exists()


def test_guessing_it_ends_soon_here_and_at_the_login(hers: Client, house: OidcProvider) -> None:
    for _ in range(10):
        hers.post(CONNECT, {"password": "guess"}, headers=PAGE)
    answer = hers.post(CONNECT, {"password": PASSWORD}, headers=PAGE)
    assert (answer.status_code, "Too many" in answer.content.decode()) == (422, True)
    at_login = Client().post("/login", {"username": "alice", "password": PASSWORD})
    assert "Too many" in at_login.content.decode()


def test_what_is_connected_is_disconnected_again(hers: Client, alice: User, house: OidcProvider) -> None:
    connect(hers)
    assert "Disconnect Test house" in hers.get("/account/").content.decode()
    assert Client().post("/account/disconnect")["Location"].startswith("/login")
    for _ in range(2):  # a second time changes nothing
        assert hers.post("/account/disconnect")["Location"] == "/account/"
    page = hers.get("/account/").content.decode()
    assert ("Disconnected." in page, "Connect Test house" in page) == (True, True)
    assert not SocialAccount.objects.exists()
    other = Client()
    log_in(other)
    assert other.session["_auth_user_id"] != str(alice.pk), "from now on it is somebody else"
    told = AuditEvent.objects.filter(object_type="user", object_id=str(alice.pk), action__contains="connected")
    assert list(told.order_by("id").values_list("action", flat=True)) == ["user.connected", "user.disconnected"]


def test_the_only_way_to_log_in_is_kept(client: Client, house: OidcProvider) -> None:
    log_in(client)
    page = client.get("/account/").content.decode()
    assert ("Disconnect" in page, "You have no password here" in page) == (False, True)
    client.post("/account/disconnect")
    assert "only way to log in" in client.get("/account/").content.decode()
    assert SocialAccount.objects.filter(user__username="dana").exists()


def test_without_a_password_nothing_is_connected(visit: Callable[[User], Client], house: OidcProvider) -> None:
    made = User.objects.create_user("dora")
    browser = visit(made)
    assert CONNECT not in browser.get("/account/").content.decode()
    assert "Ask an administrator" in browser.get(CONNECT).content.decode()
    browser.post(CONNECT, {"password": ""}, headers=PAGE)
    assert house.asked == []


def test_what_was_connected_with_another_issuer_is_no_connection(hers: Client, house: OidcProvider) -> None:
    connect(hers)
    SocialAccount.objects.update(provider="oidc-of-another-issuer")
    assert "Connect Test house" in hers.get("/account/").content.decode()
    hers.post("/account/disconnect")
    assert SocialAccount.objects.exists()


WHOSE = "/login/oidc/whose"


@pytest.fixture
def invited(house: OidcProvider, project: Project) -> User:
    """Somebody with a password and an address that nobody checked; Dana's, as it happens."""
    _, secret = services.invite(project=project, email="Dana@example.org")
    user, _ = services.register_invited(secret=secret, username="first", password=PASSWORD)
    assert user.has_unverified_email
    return user


def asked(client: Client) -> dict[str, str]:
    """Dana comes and is asked whose the account is: what the form says, but for her choice."""
    answer = log_in(client)
    assert (answer.status_code, answer["Location"]) == (302, WHOSE)
    assert not is_logged_in(client)
    page = client.get(WHOSE).content.decode()
    assert "An account was invited with your email address." in page
    assert "first" not in page, "that there is one is all that is told of it"
    return {"arrival": page.partition('name="arrival" value="')[2].partition('"')[0]}


def test_the_address_of_an_invitation_keeps_nobody_out(client: Client, invited: User, house: OidcProvider) -> None:
    answer = client.post(WHOSE, {**asked(client), "choice": "new"})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    dana = User.objects.get(username="dana")
    assert (client.session["_auth_user_id"], dana.email) == (str(dana.pk), "dana@example.org")
    assert SocialAccount.objects.get().user == dana
    assert log_in(Client())["Location"] == "/", "who was asked is not asked again"
    house.claims["sub"] = "dana-2"
    assert log_in(Client()).status_code == 403, "by now somebody has it who showed that it is theirs"


def test_who_was_invited_connects_and_has_one_account(client: Client, invited: User) -> None:
    answer = client.post(WHOSE, {**asked(client), "choice": "theirs"})
    assert answer["Location"] == f"/login?next={CONNECT}"
    answer = client.post(answer["Location"], {"username": "first", "password": PASSWORD})
    assert answer["Location"] == CONNECT
    assert connect(client)["Location"] == "/account/"
    other = Client()
    log_in(other)
    assert other.session["_auth_user_id"] == str(invited.pk)
    assert not User.objects.filter(username__startswith="dana").exists()


@pytest.mark.parametrize("way", ["another form", "another browser", "too late", "no choice", "answered", "elsewhere"])
def test_the_question_is_answered_once_by_who_was_asked(
    client: Client, invited: User, house: OidcProvider, settings: Any, way: str
) -> None:
    given, teller, status = {**asked(client), "choice": "new"}, client, 403
    if way == "another form":
        asked(client)
    elif way == "another browser":
        teller = Client()
    elif way == "too late":
        session = client.session
        session["arrival"] = {**session["arrival"], "until": 0}
        session.save()
    elif way == "no choice":
        given, status = {"arrival": given["arrival"]}, 400
    elif way == "answered":
        client.post(WHOSE, {**given, "choice": "theirs"})
    else:
        _set(settings, house, issuer="https://another.example")
    assert teller.post(WHOSE, given, headers=PAGE).status_code == status
    assert teller.get("/login/oidc/callback", headers=PAGE).status_code == 403
    assert not is_logged_in(teller)
    assert not User.objects.filter(username__startswith="dana").exists()


def test_an_address_counts_again_when_it_is_verified(
    client: Client, invited: User, house: OidcProvider, visit: Callable[[User], Client]
) -> None:
    assert connect(visit(invited))["Location"] == "/account/"
    invited.refresh_from_db()
    assert not invited.has_unverified_email
    house.claims["sub"] = "dana-2"
    assert log_in(client).status_code == 403
    assert refusals() == [("dana-2", "address_of_an_account")]


def test_connecting_another_address_verifies_nothing(
    house: OidcProvider, project: Project, visit: Callable[[User], Client]
) -> None:
    _, secret = services.invite(project=project, email="other@example.org")
    invited, _ = services.register_invited(secret=secret, username="first", password=PASSWORD)
    connect(visit(invited))
    invited.refresh_from_db()
    assert (invited.has_unverified_email, invited.email) == (True, "other@example.org")


def test_who_comes_by_an_invitation_has_the_address_that_was_verified(
    client: Client, house: OidcProvider, project: Project
) -> None:
    _, secret = services.invite(project=project, email="team@example.org")
    log_in(client, next=f"/invitations/{secret}")
    dana = User.objects.get(username="dana")
    assert (dana.email, dana.has_unverified_email) == ("dana@example.org", False)


def test_a_refused_arrival_by_an_invitation_is_told_to_its_project(
    client: Client, house: OidcProvider, project: Project, alice: User, visit: Callable[[User], Client]
) -> None:
    invitation, secret = services.invite(project=project, email="team@example.org")
    services.revoke_invitation(invitation=invitation)
    assert log_in(client, next=f"/invitations/{secret}").status_code == 403
    event = AuditEvent.objects.get(action="user.arrival_refused")
    assert (event.project, event.object_id, event.user_id) == (project, "dana-1", None)
    assert event.details == {
        "reason": "invitation_not_found", "issuer": house.issuer, "email": "dana@example.org",
        "invitation": invitation.pk,
    }  # fmt: skip
    for kept in (secret, CLIENT_SECRET, "code", "token"):
        assert kept not in str(event.details).replace(invitation.pk, "")
    log = visit(alice).get("/admin/accounts/auditevent/").content.decode()
    assert "did not let dana-1 in" in log


def test_one_subject_does_not_fill_the_log(
    client: Client, house: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sovereign.accounts.audit.REFUSALS_KEPT", 2)
    monkeypatch.setattr("sovereign.accounts.audit._refusals", audit._Refusals())
    house.claims |= {"email_verified": False}
    for _ in range(3):
        log_in(client)
    house.claims["sub"] = "somebody-else"
    log_in(client)
    assert [subject for subject, _ in refusals()] == ["dana-1", "dana-1", "somebody-else"]


def test_the_issuer_says_what_it_is_once_and_its_keys_each_time(client: Client, house: OidcProvider) -> None:
    assert log_in(client).status_code == 302
    house.change_key()
    assert log_in(Client()).status_code == 302, "a key that was not there before is known at once"
    assert house.asked.count("/.well-known/openid-configuration") == 1
    assert house.asked.count("/keys") == 2


def test_what_an_issuer_says_wrongly_of_itself_is_not_remembered(
    client: Client, house: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = house.discovery()
    for wrong in ({**said, "issuer": "https://evil.example"}, {"issuer": house.issuer}, {}):
        with monkeypatch.context() as patch:
            patch.setattr(house, "discovery", lambda wrong=wrong: wrong)
            assert client.post("/login/oidc", headers=PAGE).status_code == 403
    assert log_in(client).status_code == 302


def test_no_other_way_of_allauth_makes_anybody(client: Client, house: OidcProvider) -> None:
    assert client.post("/login/oidc", {"process": "redirect"}, headers=PAGE).status_code == 400
    assert client.post("/login/oidc?process=redirect", headers=PAGE).status_code == 400


def test_the_provider_is_not_asked_without_end(client: Client, house: OidcProvider, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "sign_on": "2/m/ip"}
    assert [client.post("/login/oidc", headers=PAGE).status_code for _ in range(3)] == [200, 200, 429]


def test_connecting_asks_for_a_session(client: Client, hers: Client, house: OidcProvider) -> None:
    assert client.post(CONNECT, {"password": PASSWORD})["Location"] == f"/login?next={CONNECT}"
    back = sent_back(hers, CONNECT, password=PASSWORD).removeprefix("http://testserver")
    hers.post("/logout")
    assert hers.get(back, headers=PAGE).status_code == 403, "who asked has left"
    assert not SocialAccount.objects.exists()


def test_an_invitation_lets_anybody_in_once(
    client: Client, house: OidcProvider, settings: Any, project: Project, alice: User
) -> None:
    _set(settings, house)  # invited only
    house.claims |= {"email_verified": False, "preferred_username": "alice"}
    _, secret = services.invite(project=project, email="new@elsewhere.example", role="analyst")
    path = f"/invitations/{secret}"
    assert "Continue with Test house" in client.get(path).content.decode()
    answer = log_in(client, next=path)
    assert (answer.status_code, answer["Location"]) == (302, "/chat/")
    new = Invitation.objects.get().accepted_by
    assert new is not None
    assert (new.username, new.email) == ("alice2", "new@elsewhere.example")
    assert Membership.objects.get(user=new).role == "analyst"
    house.claims["sub"] = "somebody-else"
    assert log_in(Client(), next=path).status_code == 403


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("forged", True),
        ("false_claims", {"iss": "https://evil.example"}),
        ("false_claims", {"aud": "another"}),
        ("false_claims", {"exp": 1}),
        ("false_claims", {"sub": "somebody-else"}),
        ("user_info", {"sub": "somebody-else"}),
        ("user_info", {"sub": None}),
    ],
)
def test_what_is_not_of_the_provider_lets_nobody_in(client: Client, house: OidcProvider, what: str, wrong: Any) -> None:
    setattr(house, what, wrong)
    assert log_in(client).status_code == 403
    assert not is_logged_in(client)
    assert not User.objects.filter(username="dana").exists()


def test_an_answer_is_for_the_session_that_asked_and_for_once(client: Client, house: OidcProvider) -> None:
    back = sent_back(client).removeprefix("http://testserver")
    assert Client().get(back, headers=PAGE).status_code == 403
    assert client.get(back, headers=PAGE).status_code == 302
    assert Client().get("/login/oidc/callback?error=access_denied", headers=PAGE).status_code == 403


def test_accounts_of_another_issuer_are_nobody_here(client: Client, house: OidcProvider, settings: Any) -> None:
    log_in(client)
    SocialAccount.objects.update(provider="oidc-of-another-issuer")
    User.objects.filter(username="dana").update(email="")
    log_in(Client())
    assert User.objects.filter(username__startswith="dana").count() == 2


def test_a_closed_account_stays_closed(client: Client, house: OidcProvider) -> None:
    log_in(client)
    User.objects.filter(username="dana").update(is_active=False)
    answer = log_in(Client())
    assert (answer.status_code, "closed" in answer.content.decode()) == (403, True)
    assert refusals() == [("dana-1", "account_closed")]


def test_a_provider_that_is_away_is_told(client: Client, house: OidcProvider, settings: Any) -> None:
    _set(settings, house, issuer="http://127.0.0.1:1")
    assert client.post("/login/oidc", headers=PAGE).status_code == 403


def test_without_a_provider_there_is_no_door(
    client: Client, alice: User, project: Project, visit: Callable[[User], Client]
) -> None:
    assert client.post("/login/oidc").status_code == 404
    assert client.get("/login/oidc/callback").status_code == 404
    for path in (CONNECT, "/account/disconnect"):
        assert visit(alice).post(path, {"password": PASSWORD}).status_code == 404
    assert "login/oidc" not in client.get("/login").content.decode()


def test_nobody_is_sent_elsewhere_by_a_link(client: Client, house: OidcProvider) -> None:
    assert client.get("/login/oidc").status_code == 405
    assert log_in(client, next="https://evil.example/")["Location"] == "/"
    assert Client(enforce_csrf_checks=True).post("/login/oidc").status_code == 403


@pytest.mark.parametrize("path", ["/accounts/", "/accounts/signup/", "/signup", "/accounts/email/", "/account/signup"])
def test_no_page_of_allauth_is_there(client: Client, db: None, path: str) -> None:
    assert client.get(path).status_code == 404
