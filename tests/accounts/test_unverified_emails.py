"""An address that an account has of an invitation is known as one that nobody checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.test import Client

from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from tests.accounts.browsing import browser, page, root

__all__ = ["browser", "root"]

ADDRESS = "new@example.org"
PASSWORD = "correct horse battery"


def invited(project: Project, username: str) -> User:
    _, secret = services.invite(project=project, email=ADDRESS)
    return services.register_invited(secret=secret, username=username, password=PASSWORD)[0]


def unverified() -> set[str]:
    return set(User.objects.filter(has_unverified_email=True).values_list("username", flat=True))


@pytest.mark.django_db
def test_a_superuser_vouches_for_the_address_that_they_write(project: Project) -> None:
    user = invited(project, "nina")
    user.first_name = "Nina"
    services.save_user(user=user)
    assert unverified() == {"nina"}, "the address is the same"
    user.email = "nina@example.org"
    services.save_user(user=user)
    assert unverified() == set()


@pytest.mark.django_db
def test_only_the_address_that_was_checked_counts(project: Project) -> None:
    user = invited(project, "nina")
    services.verify_email(user=user, email="other@example.org")
    services.verify_email(user=user, email="")
    assert unverified() == {"nina"}
    services.verify_email(user=user, email=ADDRESS.upper())
    assert unverified() == set()


@pytest.mark.django_db
def test_a_superuser_sees_the_mark_and_says_that_it_was_checked(
    root: User, project: Project, browser: Callable[[User], Client]
) -> None:
    user, other, client = invited(project, "nina"), invited(project, "mona"), browser(root)
    field = "the address was checked"
    shown = client.get(page("user", "change", user.pk)).content.decode()
    assert field in shown.lower()
    assert 'name="is_address_checked"' not in shown, "it is no field to write"
    chosen = {"action": "vouch", "_selected_action": [str(user.pk), str(root.pk)]}
    for number in ("One address is", "0 addresses are"):
        assert number in client.post(page("user"), chosen, follow=True).content.decode()
    assert unverified() == {other.username}
    told = AuditEvent.objects.get(action="user.email_checked")
    assert (told.user_id, told.object_id, told.details["email"]) == (root.pk, str(user.pk), ADDRESS)


@pytest.mark.django_db
def test_nobody_vouches_for_an_address_that_they_did_not_see(project: Project) -> None:
    seen = invited(project, "nina")
    User.objects.filter(pk=seen.pk).update(email="another@example.org")
    assert not services.vouch_for_email(user=seen)
    assert unverified() == {"nina"}


@pytest.fixture
def back_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_accounts_of_before_are_told_apart(back_again: None, project: Project, charlie: User) -> None:
    User.objects.filter(pk=charlie.pk).update(email=ADDRESS)
    charlie.refresh_from_db()
    _, secret = services.invite(project=project, email=ADDRESS)
    services.accept_invitation(secret=secret, user=charlie)  # who had the address before
    invited(project, "nina")
    moved = invited(project, "mona")
    moved.email = "mona@example.org"
    services.save_user(user=moved)
    call_command("migrate", "accounts", "0009", verbosity=0)
    call_command("migrate", verbosity=0)
    assert unverified() == {"nina"}
