"""A key gets another secret: the one before is taken for a chosen time, and everything else of the key stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from sovereign.accounts import credentials, services
from sovereign.accounts.models import ApiKey, AuditEvent, Project, RetiredSecret, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES
from sovereign.accounts.services import rotation
from sovereign.core.database import now
from sovereign.core.errors import ApiError
from sovereign.management import bootstrap

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def made(project: Project, **options: object) -> tuple[ApiKey, str]:
    return services.create_api_key(project=project, name="CI", **options)  # type: ignore[arg-type]


def refusal(secret: str) -> str | None:
    with pytest.raises(ApiError) as refused:
        credentials.principal_of_key(secret)
    assert refused.value.status == 401
    return refused.value.code


def manager(project: Project, *scopes: str) -> Principal:
    return Principal(project_id=project.pk, key_id="key_manager", scopes=frozenset({"keys:manage", *scopes}))


def page(view: str, key: ApiKey) -> str:
    return reverse(f"admin:accounts_apikey_{view}", args=[key.pk.replace("_", "_5F")])


def test_both_secrets_are_one_key_until_the_overlap_is_over(project: Project) -> None:
    key, old = made(project, environment="staging")
    _, new = services.rotate_api_key(key=key, overlap=HOUR)
    assert re.fullmatch(r"sk-sov-[0-9a-z]{8}-[A-Za-z0-9_-]{43}", new)
    one, other = credentials.principal_of_key(old), credentials.principal_of_key(new)
    assert one == replace(other, secret=one.secret) != other
    assert credentials.principal_of_key(old).environment == "staging"
    RetiredSecret.objects.update(valid_until=now() - timedelta(seconds=1))
    assert refusal(old) == "api_key_rotated"
    assert credentials.principal_of_key(new).key_id == key.pk
    assert new[16:] not in str(
        [*ApiKey.objects.values(), *RetiredSecret.objects.values(), *AuditEvent.objects.values()]
    )
    assert old[16:] not in str([*RetiredSecret.objects.values()])


def test_without_an_overlap_the_old_secret_is_refused_at_once(project: Project, api: APIClient, api_key: str) -> None:
    assert api.get("/v1/models").status_code == 200
    services.rotate_api_key(key=ApiKey.objects.get(), overlap=timedelta(0))
    answer = api.get("/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "api_key_rotated")


@pytest.mark.parametrize("is_ticket", [False, True])
def test_what_was_opened_with_an_old_secret_ends_with_it(
    is_ticket: bool, project: Project, django_assert_num_queries: Any
) -> None:
    """Whoever had a stolen secret went on listening, and answering for tools, after it was refused."""
    key, first = made(project)

    def opened(secret: str) -> Principal:
        principal = credentials.principal_of_key(secret)
        return (
            credentials.read({}, query={"ticket": services.issue_ticket(principal=principal)[1]})
            if is_ticket
            else principal
        )

    old = opened(first)
    _, second = services.rotate_api_key(key=key, overlap=HOUR)
    present = opened(second)
    with django_assert_num_queries(2):
        assert credentials.still_valid(old)
        assert credentials.still_valid(present)
    services.end_old_secrets(key=key)
    assert (credentials.still_valid(old), credentials.still_valid(present)) == (False, True)
    services.rotate_api_key(key=key, overlap=timedelta(0))
    assert not credentials.still_valid(present)


def test_it_is_seen_which_secret_is_still_in_use(project: Project) -> None:
    key, old = made(project)
    credentials.principal_of_key(old)
    _, new = services.rotate_api_key(key=key, overlap=HOUR)
    key.refresh_from_db()
    assert key.last_used_at is None  # nobody has the new one yet
    retired = key.retired_secrets.get()
    retired.last_used_at = None
    retired.save()
    credentials.principal_of_key(old)
    retired.refresh_from_db()
    key.refresh_from_db()
    assert (retired.last_used_at is not None, key.last_used_at) == (True, None)
    credentials.principal_of_key(new)
    key.refresh_from_db()
    assert key.last_used_at is not None


def test_what_ends_a_key_ends_all_of_its_secrets(project: Project) -> None:
    key, first = made(project)
    _, second = services.rotate_api_key(key=key, overlap=HOUR)
    assert services.end_old_secrets(key=key) == 1
    assert services.end_old_secrets(key=key) == 0
    assert (refusal(first), credentials.principal_of_key(second).key_id) == ("api_key_rotated", key.pk)
    _, third = services.rotate_api_key(key=key, overlap=HOUR)
    services.revoke_api_key(key=key)
    assert (refusal(second), refusal(third)) == ("api_key_revoked", "api_key_revoked")
    actions = AuditEvent.objects.filter(object_id=key.pk).order_by("id").values_list("action", flat=True)
    assert list(actions)[1:] == ["api_key.rotated", "api_key.old_secrets_ended", "api_key.rotated", "api_key.revoked"]


def test_a_secret_of_an_archived_project_or_with_another_end_is_refused(project: Project) -> None:
    key, old = made(project)
    services.rotate_api_key(key=key, overlap=HOUR)
    assert refusal(old[:-1] + ("a" if old[-1] != "a" else "b")) == "invalid_api_key"
    services.archive_project(project=project)
    assert refusal(old) == "project_archived"


def test_nobody_gets_the_secret_of_a_key_that_may_do_more_than_they(
    project: Project, charlies_project: Project
) -> None:
    key, old = made(project, scopes=["runs:read", "runs:write"])
    for who, status in (
        (manager(project, "runs:read"), 403),
        (Principal(project_id=project.pk, key_id="key_x", scopes=frozenset(key.scopes)), 403),
        (manager(charlies_project, "runs:read", "runs:write"), 404),
    ):
        with pytest.raises(ApiError) as refused:
            services.rotate_api_key(key=key, principal=who)
        assert refused.value.status == status
    assert credentials.principal_of_key(old).key_id == key.pk
    services.rotate_api_key(key=key, principal=manager(project, "runs:read", "runs:write"))


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=31)])
def test_an_overlap_is_bounded(overlap: timedelta, project: Project) -> None:
    with pytest.raises(ApiError, match="at most 30 days"):
        services.rotate_api_key(key=made(project)[0], overlap=overlap)


def test_a_key_that_is_over_gets_no_secret_and_no_key_gets_many(project: Project) -> None:
    key, _ = made(project)
    for _ in range(rotation.MOST_OLD_SECRETS):
        services.rotate_api_key(key=key, overlap=HOUR)
    with pytest.raises(ApiError, match="End them first"):
        services.rotate_api_key(key=key, overlap=HOUR)
    services.rotate_api_key(key=key, overlap=timedelta(0))  # which ends that one at once
    services.revoke_api_key(key=key)
    with pytest.raises(ApiError, match="revoked gets no new secret"):
        services.rotate_api_key(key=key)


def test_the_operators_own_key_that_was_replaced_is_not_made_again(project: Project, settings: Any) -> None:
    own = "operator-chosen-secret-of-32-characters"
    settings.SOVEREIGN = replace(settings.SOVEREIGN, api_key=own)
    bootstrap.accept_configured_key()
    services.rotate_api_key(key=ApiKey.objects.get(), overlap=timedelta(0))
    bootstrap.accept_configured_key()
    assert ApiKey.objects.count() == 1
    assert refusal(own) == "api_key_rotated"


def test_the_command_prints_the_new_secret_once(project: Project) -> None:
    key, old = made(project)
    out = StringIO()
    call_command("rotate_api_key", key.pk, "--overlap-hours", "2", stdout=out)
    secret = re.fullmatch(r"API key: (\S+)\n", out.getvalue())
    assert secret
    assert credentials.principal_of_key(secret[1]).key_id == credentials.principal_of_key(old).key_id == key.pk
    for wrong in (["key_unknown"], [key.pk, "--overlap-hours", "721"], [key.pk, "--overlap-hours", "-1"]):
        with pytest.raises(CommandError):
            call_command("rotate_api_key", *wrong)


# the pages


@pytest.fixture
def browser() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


def test_a_key_is_rotated_on_its_page_and_the_secret_shown_once(
    alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    client, (key, old) = browser(alice), made(project, scopes=sorted(DEFAULT_KEY_SCOPES))
    assert page("rotate", key) in client.get(page("change", key)).content.decode()
    assert "The old secret stays good for" in client.get(page("rotate", key)).content.decode()
    assert client.post(page("rotate", key), {"overlap": "12345"}).status_code == 200
    assert not RetiredSecret.objects.exists()  # a choice that is none
    answer = client.post(page("rotate", key), {"overlap": "3600"})
    secret = re.search(r"API key: <code>(sk-sov-[\w-]+)</code>", answer.content.decode())
    assert secret
    assert "no-store" in answer["Cache-Control"]
    assert secret[1] not in client.cookies.output() + str(dict(client.session))
    assert credentials.principal_of_key(secret[1]).key_id == key.pk
    shown = client.get(page("change", key)).content.decode()
    assert secret[1] not in shown
    assert key.hint in shown  # of the old one
    assert client.get(page("end", key)).status_code == 403
    assert client.post(page("end", key)).status_code == 302
    assert refusal(old) == "api_key_rotated"


def test_another_tenants_key_is_unknown_and_an_analyst_rotates_none(
    bob: User, charlie: User, project: Project, browser: Callable[[User], Client]
) -> None:
    key, old = made(project)
    services.create_project(name="Bob's", owner=bob)
    for client in (browser(charlie), browser(bob)):
        for view in ("rotate", "end"):
            assert client.post(page(view, key), {"overlap": "0"}).status_code in (403, 404)
    assert credentials.principal_of_key(old).key_id == key.pk


def test_keys_are_found_by_their_state(alice: User, project: Project, browser: Callable[[User], Client]) -> None:
    client = browser(alice)
    rotated, revoked, plain = (
        services.create_api_key(project=project, name=name)[0] for name in ("Turning", "Gone", "Quiet")
    )
    services.rotate_api_key(key=rotated, overlap=HOUR)
    services.revoke_api_key(key=revoked)
    ApiKey.objects.filter(pk=plain.pk).update(expires_at=now() - HOUR)
    for state, name in (("rotating", "Turning"), ("revoked", "Gone"), ("expired", "Quiet"), ("active", "Turning")):
        listed = client.get(f"{reverse('admin:accounts_apikey_changelist')}?state={state}").content.decode()
        assert [each for each in ("Turning", "Gone", "Quiet") if f">{each}<" in listed] == [name], state
