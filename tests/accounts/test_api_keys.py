"""API keys: shown once, stored as a digest, bounded by the rights of who makes them, revoked for good."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from sovereign.accounts import credentials, services, tokens
from sovereign.accounts.models import ApiKey, AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, DEFAULT_KEY_SCOPES
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db


def manager(project: Project, *scopes: str) -> Principal:
    return Principal(project_id=project.pk, key_id="key_manager", scopes=frozenset({"keys:manage", *scopes}))


def test_a_key_has_the_published_form_and_only_its_digest_is_stored(project: Project) -> None:
    key, secret = services.create_api_key(project=project, name=" CI ")

    assert re.fullmatch(r"sk-sov-[0-9a-z]{8}-[A-Za-z0-9_-]{43}", secret)
    assert key.pk.startswith("key_")
    assert key.name == "CI"
    assert key.lookup == secret[7:15]
    assert key.digest == tokens.digest_of(secret)
    assert secret[16:] not in str(ApiKey.objects.values().get())
    assert secret[16:] not in str(list(AuditEvent.objects.values()))
    assert secret[16:] not in f"{key} {key!r} {key.hint}"


def test_keys_differ() -> None:
    assert len({tokens.new_api_key() for _ in range(100)}) == 100


@pytest.mark.parametrize("own", ["k" * 32, "sk-" + "operator-chosen-secret-" * 2, "!" * 512])
def test_the_operator_may_bring_a_key_of_any_form(own: str, project: Project) -> None:
    key, secret = services.create_api_key(project=project, secret=own)

    assert secret == own
    assert key.lookup not in own
    assert credentials.principal_of_key(own).key_id == key.pk


@pytest.mark.parametrize("own", ["", "short", "k" * 31, "k" * 513, "with a space" * 4, "é" * 40, "k" * 40 + "\x00"])
def test_an_own_key_that_is_weak_or_cannot_travel_in_a_header_is_refused(own: str, project: Project) -> None:
    with pytest.raises(ApiError, match="32 to 512 printable"):
        services.create_api_key(project=project, secret=own)


def test_without_keys_manage_no_key_is_made_or_revoked(project: Project) -> None:
    principal = Principal(project_id=project.pk, key_id="key_x", scopes=ALL_SCOPES - {"keys:manage"})
    key, _ = services.create_api_key(project=project)
    with pytest.raises(ApiError) as refused:
        services.create_api_key(project=project, principal=principal)
    assert refused.value.status == 403
    with pytest.raises(ApiError) as refused:
        services.revoke_api_key(key=key, principal=principal)
    assert refused.value.status == 403
    assert ApiKey.objects.get().state == "active"


def test_nobody_gives_a_scope_they_do_not_have(project: Project) -> None:
    with pytest.raises(ApiError) as refused:
        services.create_api_key(
            project=project, principal=manager(project, "runs:read"), scopes=["runs:read", "runs:write"]
        )
    assert refused.value.status == 403
    assert "runs:write" in refused.value.message
    key, _ = services.create_api_key(project=project, principal=manager(project, "runs:read"), scopes=["runs:read"])
    assert key.scopes == ["runs:read"]


def test_another_tenants_keys_are_unknown(project: Project, charlies_project: Project) -> None:
    key, _ = services.create_api_key(project=project)
    outsider = manager(charlies_project, *ALL_SCOPES)

    for call in (
        lambda: services.create_api_key(project=project, principal=outsider),
        lambda: services.revoke_api_key(key=key, principal=outsider),
    ):
        with pytest.raises(ApiError) as refused:
            call()
        assert refused.value.status == 404
    assert list(ApiKey.objects.visible_to(outsider)) == []
    assert list(AuditEvent.objects.visible_to(outsider).filter(object_id=key.pk)) == []
    assert list(Project.objects.visible_to(outsider)) == [charlies_project]
    assert list(ApiKey.objects.visible_to(manager(project))) == [key]


@pytest.mark.parametrize("name", ["", "   ", "x" * 129, "a\x00b", "\ud800"])
def test_a_name_must_be_readable(name: str, project: Project) -> None:
    with pytest.raises(ApiError) as refused:
        services.create_api_key(project=project, name=name)
    assert refused.value.param == "name"


def test_an_expiry_must_be_ahead(project: Project) -> None:
    with pytest.raises(ApiError, match="future"):
        services.create_api_key(project=project, expires_at=timezone.now() - timedelta(seconds=1))


def test_a_key_is_in_force_until_it_expires(project: Project) -> None:
    moment = timezone.now()
    key, secret = services.create_api_key(project=project, expires_at=moment + timedelta(hours=1))
    assert credentials.principal_of_key(secret).scopes == DEFAULT_KEY_SCOPES
    assert key.state == "active"
    assert ApiKey.objects.in_force(moment).count() == 1
    assert ApiKey.objects.in_force(moment + timedelta(hours=1)).count() == 0


def test_revoking_is_final_and_audited_once(project: Project, alice: User) -> None:
    key, secret = services.create_api_key(project=project)
    principal = credentials.principal_of_person(alice.pk)
    revoked = services.revoke_api_key(key=key, principal=principal)
    again = services.revoke_api_key(key=key, principal=principal)

    assert revoked.revoked_at == again.revoked_at is not None
    assert again.state == "revoked"
    with pytest.raises(ApiError):
        credentials.principal_of_key(secret)
    event = AuditEvent.objects.get(action="api_key.revoked")
    assert (event.user_id, event.object_id, event.project_id) == (alice.pk, key.pk, project.pk)


def test_making_a_key_is_audited_with_its_scopes(project: Project, alice: User) -> None:
    key, _ = services.create_api_key(project=project, principal=credentials.principal_of_person(alice.pk))
    event = AuditEvent.objects.get(action="api_key.created")
    assert (event.object_type, event.object_id, event.user_id, event.key_id) == ("apikey", key.pk, alice.pk, None)
    assert event.details["scopes"] == sorted(DEFAULT_KEY_SCOPES)
    assert key.created_by == alice


def test_a_failed_service_leaves_nothing_in_the_audit_log(project: Project) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(ApiError):
        services.create_api_key(project=project, scopes=["nonsense"])
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("environment", ["development", "testing", "staging", "production"])
def test_a_key_is_bound_to_an_environment(environment: str, project: Project) -> None:
    key, secret = services.create_api_key(project=project, environment=environment)
    assert (key.environment, credentials.principal_of_key(secret).environment) == (environment, environment)
    assert AuditEvent.objects.get(action="api_key.created").details["environment"] == environment


@pytest.mark.parametrize("environment", [None, ""])
def test_a_key_is_bound_to_nothing_unless_somebody_binds_it(environment: str | None, project: Project) -> None:
    assert services.create_api_key(project=project, environment=environment)[0].environment is None


@pytest.mark.parametrize("environment", ["nowhere", "Production", " staging", "x" * 500])
def test_an_unknown_environment_is_refused(environment: str, project: Project) -> None:
    with pytest.raises(ApiError, match="development, testing, staging, production") as refused:
        services.create_api_key(project=project, environment=environment)
    assert (refused.value.param, refused.value.code) == ("environment", "invalid_value")
    assert not ApiKey.objects.exists()
