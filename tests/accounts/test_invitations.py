"""Invitations: who may make them, what they are good for, and for how long."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Invitation, Membership, Project, User
from sovereign.accounts.services.invitations import LIFETIME
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret(project: Project, alice: User) -> str:
    principal = principal_of_person(alice.pk)
    return services.invite(project=project, email="new@example.org", role="analyst", principal=principal)[1]


def refusal_of(secret: str) -> str | None:
    with pytest.raises(ApiError) as refused:
        services.find_invitation(secret)
    return refused.value.code


def test_the_secret_is_nowhere(secret: str, project: Project) -> None:
    row = Invitation.objects.filter(project=project).values().get()
    assert secret not in str(row)
    assert secret not in str(list(AuditEvent.objects.values()))


def test_it_lets_one_person_in_once(secret: str, charlie: User, project: Project) -> None:
    membership = services.accept_invitation(secret=secret, user=charlie)
    assert (membership.project, membership.role) == (project, "analyst")
    assert Invitation.objects.get().state == "accepted"
    assert refusal_of(secret) == "invitation_not_found"
    with pytest.raises(ApiError):
        services.accept_invitation(secret=secret, user=User.objects.create_user("dora"))


@pytest.mark.parametrize("end", ["revoked", "too old", "archived", "unknown"])
def test_afterwards_it_is_good_for_nothing(end: str, secret: str, charlie: User, project: Project) -> None:
    if end == "revoked":
        services.revoke_invitation(invitation=Invitation.objects.get())
    elif end == "too old":
        invitation = Invitation.objects.get()
        Invitation.objects.update(expires_at=invitation.expires_at - LIFETIME - timedelta(seconds=1))
    elif end == "archived":
        services.archive_project(project=project)
    else:
        secret = f"{secret}x"
    assert refusal_of(secret) == "invitation_not_found"
    with pytest.raises(ApiError):
        services.accept_invitation(secret=secret, user=charlie)
    assert not Membership.objects.filter(project=project, user=charlie).exists()


@pytest.mark.parametrize("end", ["removed", "demoted", "inactive", "deleted"])
def test_it_is_good_as_long_as_its_maker_may_make_it(end: str, project: Project, charlie: User) -> None:
    maker = User.objects.create_user("ada")
    membership = services.add_member(project=project, user=maker, role="admin")
    secret = services.invite(
        project=project, email="ada@example.org", role="admin", principal=principal_of_person(maker.pk)
    )[1]
    assert services.find_invitation(secret).role == "admin"
    if end == "removed":
        services.remove_member(membership=membership)
    elif end == "demoted":
        services.set_role(membership=membership, role="analyst")
    elif end == "inactive":
        maker.is_active = False
        services.save_user(user=maker)
    else:
        maker.delete()
    assert refusal_of(secret) == "invitation_not_found"
    with pytest.raises(ApiError):
        services.accept_invitation(secret=secret, user=charlie)
    assert not Membership.objects.filter(project=project, user=charlie).exists()


def test_one_for_an_owner_ends_with_its_makers_ownership_and_the_operators_with_nobodys(
    project: Project, alice: User, bob: User
) -> None:
    services.set_role(membership=Membership.objects.get(project=project, user=bob), role="owner")
    made = {"project": project, "email": "x@example.org", "role": "owner"}
    owners = services.invite(**made, principal=principal_of_person(bob.pk))[1]
    operators = services.invite(**made)[1]
    services.set_role(membership=Membership.objects.get(project=project, user=bob), role="admin")
    assert refusal_of(owners) == "invitation_not_found"
    assert services.find_invitation(operators).role == "owner"
    client = Client()
    client.force_login(alice)
    assert "Revoked" in client.get("/admin/accounts/invitation/").content.decode().replace("revoked", "Revoked")


def test_a_member_does_not_use_it_up(secret: str, bob: User) -> None:
    with pytest.raises(ApiError, match="member of this project already"):
        services.accept_invitation(secret=secret, user=bob)
    assert services.find_invitation(secret).state == "open"


def test_who_comes_anew_comes_as_a_whole_or_not_at_all(secret: str, alice: User) -> None:
    with pytest.raises(ApiError, match="taken"):
        services.register_invited(secret=secret, username="ALICE", password="correct horse battery")
    assert services.find_invitation(secret).state == "open"
    user, _ = services.register_invited(secret=secret, username="new", password="correct horse battery")
    assert (user.email, user.check_password("correct horse battery")) == ("new@example.org", True)
    with pytest.raises(ApiError):
        services.register_invited(secret=secret, username="newer", password="correct horse battery")
    assert not User.objects.filter(username="newer").exists()


@pytest.mark.parametrize("role", ["viewer", "owner"])
def test_only_who_manages_members_invites_and_only_owners_make_owners(
    role: str, project: Project, bob: User, charlie: User, alice: User
) -> None:
    admin = User.objects.create_user("ada")
    services.add_member(project=project, user=admin, role="admin")
    for user, may in ((bob, False), (charlie, False), (admin, role == "viewer"), (alice, True)):
        principal = principal_of_person(user.pk)
        with nullcontext() if may else pytest.raises(ApiError):
            services.invite(project=project, email="x@example.org", role=role, principal=principal)


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b", "x@example.org\nBcc: y@example.org", "x" * 300 + "@example.org"]
)
def test_an_address_is_one(email: str, project: Project) -> None:
    with pytest.raises(ApiError):
        services.invite(project=project, email=email)


def test_the_link_is_shown_once_and_mailed(
    project: Project, alice: User, bob: User, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, email_url="smtp://mail.example")
    client = Client()
    client.force_login(alice)
    with django_capture_on_commit_callbacks(execute=True):
        given = {"email": "n@example.org", "role": "viewer", "project": project.pk}
        page = client.post("/admin/accounts/invitation/add/", given)
    secret = page.content.decode().partition("/invitations/")[2].partition("<")[0]
    assert services.find_invitation(secret).email == "n@example.org"
    assert (mail.outbox[0].to, secret in str(mail.outbox[0].body)) == (["n@example.org"], True)
    listed = client.get("/admin/accounts/invitation/").content.decode()
    assert "n@example.org" in listed
    assert secret not in listed
    assert secret not in str(client.cookies)
    chosen = {"action": "revoke", "_selected_action": Invitation.objects.get().pk}
    client.post("/admin/accounts/invitation/", chosen)
    assert Invitation.objects.get().state == "revoked"
    client.force_login(bob)
    assert client.get("/admin/accounts/invitation/").status_code == 403
