"""Who manages a project sees all links to its conversations, revokes them, and forbids them for all."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from sovereign.accounts import services as accounts
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.scopes import Role
from sovereign.core.errors import ApiError
from threads.links import secrets, services
from threads.links.models import SharedLink
from threads.models import Thread
from threads.services import create_thread

pytestmark = pytest.mark.django_db

LIST = "/admin/thread_links/sharedlink/"
TITLE = "Plans of a viewer"


@pytest.fixture
def viewer(project: Project) -> User:
    return member(project, Role.VIEWER)


@pytest.fixture
def link(viewer: User, project: Project) -> SharedLink:
    """To a conversation of somebody who manages nothing."""
    principal = principal_of_person(viewer.pk, project.pk)
    thread = create_thread(principal=principal, messages=[{"role": "user", "content": "Shh"}], title=TITLE)
    return services.share(principal=principal, thread_id=thread.pk)


def member(project: Project, role: str) -> User:
    user = User.objects.create_user(f"a-{role}")
    accounts.add_member(project=project, user=user, role=role)
    user.refresh_from_db()
    return user


def revoke(client: Client, link: SharedLink) -> int:
    return client.post(LIST, {"action": "revoke", "_selected_action": link.pk}).status_code


def is_read(link: SharedLink) -> bool:
    return Client().get(f"/s/{secrets.secret_of(link.pk)}").status_code == 200


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OWNER])
def test_managers_see_them_without_their_addresses_and_revoke_them(
    role: str, link: SharedLink, project: Project, visit: Callable[[User], Client]
) -> None:
    manager = member(project, role)
    client = visit(manager)
    for address in (LIST, f"{LIST}{link.pk}/change/"):
        page = client.get(address).content.decode()
        assert (TITLE in page, "a-viewer" in page) == (True, True)
        assert secrets.secret_of(link.pk) not in page
    assert LIST in client.get("/admin/").content.decode()
    assert is_read(link)
    assert [revoke(client, link), revoke(client, link)] == [302, 302]
    assert not is_read(link)
    noted = AuditEvent.objects.filter(action="thread.link_revoked", object_id=link.thread_id)
    assert [(event.user_id, event.details) for event in noted] == [(manager.pk, {"link": link.pk})]


def test_who_does_not_manage_sees_none(
    link: SharedLink, bob: User, charlie: User, project: Project, visit: Callable[[User], Client]
) -> None:
    analyst, stranger = visit(bob), visit(charlie)
    assert analyst.get(LIST).status_code == 403
    assert LIST not in analyst.get("/admin/").content.decode()
    assert TITLE not in stranger.get(LIST).content.decode()
    for client in (analyst, stranger):
        shown = client.get(f"{LIST}{link.pk}/change/", follow=True).content.decode()
        assert (TITLE in shown, "a-viewer" in shown) == (False, False)
        revoke(client, link)
    for user, home, status in ((bob, project, 403), (charlie, Project.objects.get(memberships__user=charlie), 404)):
        with pytest.raises(ApiError) as refused:
            services.revoke_of_member(principal=principal_of_person(user.pk, home.pk), link=link)
        assert refused.value.status == status
    assert is_read(link)


def test_the_list_says_which_are_open(
    link: SharedLink, alice: User, project: Project, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    assert shown(client, "open") == 1
    Thread.objects.filter(pk=link.thread_id).update(trashed_at=link.created_at)
    assert (shown(client, "open"), shown(client, "closed")) == (0, 1)
    assert "opens nothing" in client.get(LIST).content.decode()
    assert "deleted by its owner" in client.get(f"{LIST}{link.pk}/change/").content.decode()


def shown(client: Client, state: str) -> int:
    return len(re.findall(r'name="_selected_action"', client.get(f"{LIST}?state={state}").content.decode()))


def test_who_manages_the_project_forbids_links_on_its_page(
    link: SharedLink, alice: User, bob: User, project: Project, visit: Callable[[User], Client]
) -> None:
    address = f"/admin/accounts/project/{project.pk}/change/"
    form = {"name": project.name, "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    assert 'name="allows_shared_links"' in visit(alice).get(address).content.decode()
    assert 'name="allows_shared_links"' not in visit(bob).get(address).content.decode(), "to be read only"
    visit(bob).post(address, form)
    assert is_read(link)
    visit(alice).post(address, form)
    assert not is_read(link)
    visit(alice).post(address, {**form, "allows_shared_links": "on"})
    assert is_read(link)
    told = AuditEvent.objects.filter(object_type="project", action__startswith="project.sharing").order_by("id")
    assert [(event.action, event.user_id) for event in told] == [
        ("project.sharing_forbidden", alice.pk),
        ("project.sharing_allowed", alice.pk),
    ]


def test_forbidding_is_for_who_manages(bob: User, charlie: User, project: Project) -> None:
    elsewhere = Project.objects.get(memberships__user=charlie)
    for user, home, status in ((bob, project, 403), (charlie, elsewhere, 404)):
        principal = principal_of_person(user.pk, home.pk)
        with pytest.raises(ApiError) as refused:
            accounts.allow_shared_links(project=project, is_allowed=False, principal=principal)
        assert refused.value.status == status
    project.refresh_from_db()
    assert project.allows_shared_links
