"""One reader of credentials: what it takes, what it refuses, and in which words."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from sovereign.accounts import credentials, services, tokens
from sovereign.accounts.models import ApiKey, Membership, Project, User
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES, ROLE_SCOPES
from sovereign.core.errors import ApiError

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]

WRONG = "sk-sov-00000000-" + "x" * 43


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def refusal(**headers: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        credentials.read({name.replace("_", "-"): value for name, value in headers.items()})
    assert caught.value.status == 401
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        lambda key: {"HTTP_AUTHORIZATION": f"Bearer {key}"},
        lambda key: {"HTTP_AUTHORIZATION": f"bearer   {key}  "},
        lambda key: {"HTTP_X_API_KEY": key},
        lambda key: {"HTTP_AUTHORIZATION": basic("", key)},
        lambda key: {"HTTP_AUTHORIZATION": basic("proxy", "password"), "HTTP_X_API_KEY": key},
    ],
)
def test_a_key_is_read_from_every_place(
    header: Callable[[str], dict[str, str]], project: Project, api_key: str, client: Client
) -> None:
    answer = client.get("/v1/echo", **header(api_key))  # type: ignore[arg-type]

    assert answer.json() == {
        "project": project.pk,
        "user": None,
        "key": ApiKey.objects.get().pk,
        "role": None,
        "scopes": sorted(DEFAULT_KEY_SCOPES),
        "environment": None,
    }


def test_a_key_carries_its_environment(project: Project) -> None:
    _, secret = services.create_api_key(project=project, environment="staging")
    assert credentials.read({"Authorization": f"Bearer {secret}"}).environment == "staging"


def test_a_wrong_key_gets_error_e1_with_the_key_masked(client: Client, db: None) -> None:
    answer = client.get("/v1/echo", HTTP_AUTHORIZATION=f"Bearer {WRONG}")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert error == {
        "message": "Incorrect API key provided: sk-sov-0****xxxx. You can find your API key at "
        "http://127.0.0.1:8000/admin/accounts/apikey/.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }


def test_no_key_gets_error_e2(client: Client, db: None) -> None:
    answer = client.get("/v1/echo")

    assert answer.status_code == 401
    error = answer.json()["error"]
    assert error["message"].startswith("You didn't provide an API key. You need to provide your API key in an Auth")
    assert "openai.com" not in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)


@pytest.mark.parametrize(
    "value",
    ["", " ", "Bearer", "Bearer ", "Digest abc", "Basic", "Basic !!!", "Basic AAA", "Token abc",
     basic("alice", "secret"), basic("", ""), "Basic " + base64.b64encode(b"no-colon").decode(), "\x00", "Bearer\tx"],
)  # fmt: skip
def test_a_header_of_another_form_counts_as_none(value: str, db: None) -> None:
    assert refusal(Authorization=value).message.startswith("You didn't provide an API key.")


@pytest.mark.parametrize(
    "secret",
    ["x", "\x00", "sk-sov-\x00\x00\x00\x00\x00\x00\x00\x00-" + "x" * 43, "sk-sov-", "é" * 60, "a" * 100_000,
     "' OR 1=1 --", "\ud800" * 40, "sk-sov-00000000-" + "x" * 43 + "\n", "Bearer Bearer"],
)  # fmt: skip
def test_nonsense_as_a_key_is_a_wrong_key(secret: str, api_key: str) -> None:
    for headers in ({"Authorization": f"Bearer {secret}"}, {"X_Api_Key": secret}):
        error = refusal(**headers)
        assert error.code in ("invalid_api_key", None)
        assert error.message.isascii()
        assert "\x00" not in error.message
        assert len(error.message) < 400


def test_a_nul_byte_in_basic_credentials_is_a_wrong_key(client: Client, db: None) -> None:
    answer = client.get("/v1/echo", HTTP_AUTHORIZATION=basic("", "sk-sov-\x00" + "x" * 60))
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_the_visible_part_alone_opens_nothing(api_key: str) -> None:
    key = ApiKey.objects.get()
    for secret in (f"sk-sov-{key.lookup}-{'x' * 43}", key.hint, key.digest, key.pk, key.lookup, api_key[:-1]):
        assert refusal(Authorization=f"Bearer {secret}").code == "invalid_api_key"


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("revoked_at", timezone.now(), "api_key_revoked"),
        ("expires_at", timezone.now() - timedelta(seconds=1), "api_key_expired"),
    ],
)
def test_a_spent_key_is_refused(column: str, value: Any, code: str, api_key: str, client: Client) -> None:
    ApiKey.objects.update(**{column: value})
    answer = client.get("/v1/echo", HTTP_AUTHORIZATION=f"Bearer {api_key}")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code


def test_a_key_of_an_archived_project_is_refused(project: Project, api_key: str) -> None:
    services.archive_project(project=project)
    assert refusal(Authorization=f"Bearer {api_key}").code == "project_archived"


def test_a_spent_key_is_not_told_to_who_does_not_have_it(api_key: str) -> None:
    ApiKey.objects.update(revoked_at=timezone.now())
    assert refusal(Authorization=f"Bearer {api_key[:-1]}x").code == "invalid_api_key"


def test_reading_a_key_is_one_select(api_key: str, django_assert_num_queries: Any) -> None:
    credentials.principal_of_key(api_key)  # writes the first use
    with django_assert_num_queries(1):
        credentials.principal_of_key(api_key)


def test_last_use_is_written_at_most_once_a_minute(api_key: str) -> None:
    credentials.principal_of_key(api_key)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    credentials.principal_of_key(api_key)
    assert ApiKey.objects.get().last_used_at == first

    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))
    credentials.principal_of_key(api_key)
    assert ApiKey.objects.get().last_used_at >= first


def test_a_database_that_cannot_be_written_refuses_no_reader(api_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: str) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(credentials, "_write_use", full)
    assert credentials.principal_of_key(api_key).allows("models:read")


def test_a_person_comes_with_a_session(project: Project, bob: User, browser_of: Callable[[User], Client]) -> None:
    answer = browser_of(bob).get("/v1/echo").json()
    assert (answer["project"], answer["user"], answer["role"]) == (project.pk, bob.pk, "analyst")
    assert set(answer["scopes"]) == ROLE_SCOPES["analyst"]


def test_a_person_works_in_the_project_of_the_session_if_a_member(
    project: Project, charlies_project: Project, bob: User, browser_of: Callable[[User], Client]
) -> None:
    other = services.create_project(name="Bob's own", owner=bob)
    browser = browser_of(bob)

    def asked_in(project_id: str) -> str:
        session = browser.session
        session[credentials.SESSION_PROJECT] = project_id
        session.save()
        return str(browser.get("/v1/echo").json()["project"])

    assert asked_in(other.pk) == other.pk
    assert asked_in(charlies_project.pk) == project.pk  # not a member there: the first membership
    assert asked_in("proj_unknown\x00") == project.pk


def test_a_page_stays_in_its_project_whatever_the_session_turns_to(
    project: Project, charlies_project: Project, bob: User, browser_of: Callable[[User], Client]
) -> None:
    """A chat that was open got a 404 for all it sent once an assistant of another project was tried."""
    other = services.create_project(name="Bob's own", owner=bob)
    browser = browser_of(bob)
    session = browser.session
    session[credentials.SESSION_PROJECT] = other.pk
    session.save()
    assert browser.get("/v1/echo").json()["project"] == other.pk
    named = {credentials.PAGE_PROJECT: project.pk}
    assert browser.get("/v1/echo", headers=named).json()["project"] == project.pk
    assert credentials.read({}, bob, {"project": project.pk}, session_project=other.pk).project_id == project.pk
    refused = browser.get("/v1/echo", headers={credentials.PAGE_PROJECT: charlies_project.pk})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "no_project")


def test_a_person_without_a_project_is_told_so(browser_of: Callable[[User], Client], db: None) -> None:
    answer = browser_of(User.objects.create_superuser("root")).get("/v1/echo")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "no_project"


def test_an_archived_project_is_none(project: Project, bob: User) -> None:
    services.archive_project(project=project)
    with pytest.raises(ApiError) as caught:
        credentials.read({}, bob)
    assert caught.value.code == "no_project"


def test_an_inactive_or_anonymous_person_is_nobody(bob: User) -> None:
    bob.is_active = False
    for person in (bob, AnonymousUser(), None):
        assert credentials.read_if_any({}, person) is None


def test_a_wrong_key_is_not_rescued_by_a_session(alice: User, project: Project) -> None:
    with pytest.raises(ApiError):
        credentials.read({"Authorization": f"Bearer {WRONG}"}, alice)


def test_a_ticket_in_the_query_is_not_for_the_api(bob: User, client: Client) -> None:
    _, ticket = services.issue_ticket(principal=credentials.principal_of_person(bob.pk))
    assert client.get(f"/v1/echo?ticket={ticket}").status_code == 401


def test_headers_of_a_websocket_are_read_alike(api_key: str, project: Project) -> None:
    for raw in ((b"authorization", f"Bearer {api_key}".encode()), (b"x-api-key", api_key.encode())):
        headers = credentials.headers_of_scope([(b"host", b"x\xff"), raw])
        assert credentials.read(headers).project_id == project.pk


def test_an_open_socket_of_a_key_ends_with_the_key(
    project: Project, api_key: str, django_assert_num_queries: Any
) -> None:
    principal = credentials.principal_of_key(api_key)
    with django_assert_num_queries(1):
        assert credentials.still_valid(principal)
    for change in (
        {"scopes": ["models:read"]},
        {"expires_at": timezone.now()},
        {"revoked_at": timezone.now()},
    ):
        before = ApiKey.objects.values(*change).get()
        ApiKey.objects.update(**change)
        assert not credentials.still_valid(principal), change
        ApiKey.objects.update(**before)
    services.archive_project(project=project)
    assert not credentials.still_valid(principal)


@pytest.mark.parametrize("ending", ["logout", "password", "expiry"])
def test_what_a_session_opened_ends_with_the_session(
    ending: str, project: Project, bob: User, django_assert_num_queries: Any
) -> None:
    here, elsewhere = Client(), Client()
    for browser in (here, elsewhere):
        browser.force_login(bob)
    principal = credentials.principal_of_person(bob.pk)
    login, other = (credentials.login_of(principal, browser.session) for browser in (here, elsewhere))
    assert login is not None
    with django_assert_num_queries(2):
        assert credentials.still_valid(principal, login)
    if ending == "logout":
        here.logout()
    elif ending == "password":
        bob.set_password("another one entirely")
        bob.save()
    else:
        Session.objects.update(expire_date=timezone.now())
    assert not credentials.still_valid(principal, login)
    assert credentials.still_valid(principal, other) is (ending == "logout")


def test_a_key_beside_a_session_does_not_end_with_it(api_key: str, alice: User, bob: User) -> None:
    browser = Client()
    browser.force_login(alice)
    assert credentials.login_of(credentials.principal_of_key(api_key), browser.session) is None
    assert credentials.login_of(credentials.principal_of_person(bob.pk), browser.session) is None  # bob's ticket


def test_an_open_socket_of_a_person_ends_with_the_membership(
    project: Project, bob: User, django_assert_num_queries: Any
) -> None:
    principal = credentials.principal_of_person(bob.pk)
    membership = Membership.objects.get(user=bob)
    with django_assert_num_queries(1):
        assert credentials.still_valid(principal)

    services.set_role(membership=membership, role="admin")
    assert credentials.still_valid(principal)  # more rights than then
    services.set_role(membership=membership, role="viewer")
    assert not credentials.still_valid(principal)
    services.set_role(membership=membership, role="analyst")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert not credentials.still_valid(principal)
    User.objects.filter(pk=bob.pk).update(is_active=True)
    services.remove_member(membership=membership)
    assert not credentials.still_valid(principal)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("not-a-real-key-but-recognized", "not-a-re****ized"),
        ("short-password", "sho****"),
        ("", "****"),
        ("\x00\x1b[31m" + "é" * 40, "??[31m??****????"),
    ],
)
def test_a_key_is_masked(secret: str, shown: str) -> None:
    assert tokens.masked(secret) == shown
