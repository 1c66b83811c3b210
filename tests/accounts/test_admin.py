"""The admin: permissions, rows and choices follow from memberships, and changes go through services."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey
from django.test import Client, RequestFactory
from django.urls import reverse

from sovereign.accounts import services
from sovereign.accounts.admin.base import OPERATOR, ProjectAdmin, ProjectTabularInline, principal_for
from sovereign.accounts.models import ApiKey, AuditEvent, Membership, Project, User
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from sovereign.core.errors import ApiError
from tests.accounts.browsing import browser, member, page, root, told

__all__ = ["browser", "root"]

pytestmark = pytest.mark.django_db

PAGES = {
    "apikey": "keys:manage",
    "limit": "keys:manage",
    "auditevent": "audit:read",
    "project": "assistants:read",
    "user": OPERATOR,
}


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("model", PAGES)
def test_a_page_opens_for_the_roles_with_its_scope_and_refuses_the_others(
    model: str, role: str, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(member(project, role))
    status = client.get(page(model)).status_code
    if role == "viewer":
        assert status == 302  # no staff: the login page
    else:
        assert status == (200 if PAGES[model] in ROLE_SCOPES[role] else 403)


@pytest.mark.parametrize("model", PAGES)
def test_superusers_see_every_page_and_every_tenant(
    model: str, root: User, project: Project, charlies_project: Project, api_key: str, charlies_key: str,
    browser: Callable[[User], Client],
) -> None:  # fmt: skip
    client = browser(root)
    assert client.get(page(model)).status_code == 200
    listed = client.get(page("project")).content.decode()
    assert project.pk in listed
    assert charlies_project.pk in listed


@pytest.mark.parametrize("model", ["apikey", "auditevent", "project"])
def test_another_tenants_rows_are_neither_listed_nor_opened(
    model: str, alice: User, charlies_key: str, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(alice)
    listed = client.get(page(model)).content.decode()
    assert "Charlie" not in listed
    rows = {"apikey": ApiKey.objects, "auditevent": AuditEvent.objects, "project": Project.objects}[model]
    lookup = {"memberships__user__username": "charlie"} if model == "project" else {
        "project__memberships__user__username": "charlie"
    }  # fmt: skip
    foreign = rows.filter(**lookup).first()
    assert foreign is not None
    for view in ("change", "delete", "history"):
        answer = client.get(page(model, view, foreign.pk))
        assert answer.status_code in (302, 403, 404), view  # Django sends people away from what does not exist
        assert "Charlie" not in answer.content.decode()


def test_every_admin_class_of_accounts_derives_from_the_one_base() -> None:
    classes = {
        model.__name__: type(site)
        for model, site in admin.site._registry.items()
        if model._meta.app_label == "accounts"
    }
    assert set(classes) == {"ApiKey", "AuditEvent", "Invitation", "Limit", "Project", "User"}
    assert all(issubclass(cls, ProjectAdmin) for cls in classes.values())


def test_no_second_place_gives_rights() -> None:
    assert "auth.Group" not in {model._meta.label for model in admin.site._registry}


@pytest.mark.parametrize("view", ["change", "delete", "history"])
def test_a_nul_byte_in_an_address_is_nothing(
    view: str, alice: User, browser: Callable[[User], Client], api_key: str
) -> None:
    client = browser(alice)
    assert client.get(page("apikey", view, "NUL").replace("NUL", "%00")).status_code < 500
    for query in ("project__id__exact=%00", "q=%00"):
        assert client.get(f"{page('apikey')}?{query}").status_code < 500


def test_a_refusal_of_a_service_is_a_message(
    alice: User, project: Project, api_key: str, browser: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ApiError("Not today.")

    monkeypatch.setattr(services, "create_api_key", refuse)
    answer = browser(alice).post(page("apikey", "add"), {"name": "x", "project": project.pk, "scopes": ["runs:read"]})
    assert answer.status_code == 302
    assert told(answer) == "Not today."


# members
def inline(**rows: Any) -> dict[str, Any]:
    return {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0, **rows}


def test_members_are_added_changed_and_removed_in_the_project(
    alice: User, bob: User, charlie: User, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(alice)
    address = page("project", "change", project.pk)
    ours, bobs = Membership.objects.get(user=alice), Membership.objects.get(user=bob)
    data = {
        "name": "Renamed",
        "memberships-TOTAL_FORMS": 3,
        "memberships-INITIAL_FORMS": 2,
        "memberships-0-id": ours.pk, "memberships-0-project": project.pk, "memberships-0-role": "owner",
        "memberships-1-id": bobs.pk, "memberships-1-project": project.pk, "memberships-1-role": "viewer",
        "memberships-2-username": "charlie", "memberships-2-role": "admin", "memberships-2-project": project.pk,
    }  # fmt: skip
    assert client.post(address, data).status_code == 302

    project.refresh_from_db()
    roles = dict(project.memberships.values_list("user__username", "role"))
    assert (project.name, roles) == ("Renamed", {"alice": "owner", "bob": "viewer", "charlie": "admin"})
    assert not User.objects.get(username="bob").is_staff
    assert AuditEvent.objects.filter(user_id=alice.pk, action="membership.changed").count() == 1

    data |= {
        "memberships-TOTAL_FORMS": 2, "memberships-1-role": "viewer", "memberships-1-DELETE": "on",
    }  # fmt: skip
    assert client.post(address, data).status_code == 302
    assert set(project.memberships.values_list("user__username", flat=True)) == {"alice", "charlie"}


def test_when_a_colleague_was_here_last_is_seen_by_who_manages_the_members_alone(
    alice: User, bob: User, project: Project, browser: Callable[[User], Client]
) -> None:
    address = page("project", "change", project.pk)
    for person, may in ((alice, True), (bob, False)):
        shown = browser(person).get(address)
        assert (shown.status_code, "last login" in shown.content.decode().lower()) == (200, may)


def test_the_last_owner_stays_in_the_admin_too(
    alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    ours = Membership.objects.get(user=alice)
    data = {
        "name": project.name, "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": ours.pk, "memberships-0-project": project.pk, "memberships-0-role": "viewer",
    }  # fmt: skip
    answer = browser(alice).post(page("project", "change", project.pk), data)
    assert "needs an owner" in told(answer)
    ours.refresh_from_db()
    assert ours.role == "owner"


@pytest.mark.parametrize("username", ["nobody", "bob"])
def test_a_member_must_exist_and_not_be_one_already(
    username: str, alice: User, bob: User, project: Project, browser: Callable[[User], Client]
) -> None:
    data = inline(
        name=project.name,
        **{"memberships-TOTAL_FORMS": 1, "memberships-0-username": username, "memberships-0-role": "viewer"},
    )
    answer = browser(alice).post(page("project", "change", project.pk), data)
    assert "Nobody here" in answer.content.decode() or "already a member" in told(answer)
    assert project.memberships.count() == 2


def test_an_analyst_sees_the_project_and_changes_nothing(
    bob: User, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(bob)
    assert client.get(page("project", "change", project.pk)).status_code == 200
    assert client.post(page("project", "change", project.pk), inline(name="Bob's")).status_code == 403
    assert client.get(page("project", "add")).status_code == 403
    project.refresh_from_db()
    assert project.name == "Alice's"


def test_a_superuser_makes_a_project_and_is_its_owner(root: User, browser: Callable[[User], Client]) -> None:
    assert browser(root).post(page("project", "add"), {"name": "New"}).status_code == 302
    assert Membership.objects.get(user=root).role == "owner"
    assert AuditEvent.objects.filter(action="project.created", user_id=root.pk).exists()


def test_projects_are_archived_by_owners_only(alice: User, project: Project, browser: Callable[[User], Client]) -> None:
    data = {"action": "archive", "_selected_action": [project.pk]}
    answer = browser(member(project, "admin")).post(page("project"), data)
    assert "Only an owner" in told(answer)
    project.refresh_from_db()
    assert project.archived_at is None
    browser(alice).post(page("project"), data)
    project.refresh_from_db()
    assert project.archived_at is not None


def test_the_audit_log_cannot_be_written(root: User, project: Project, browser: Callable[[User], Client]) -> None:
    client = browser(root)
    event = AuditEvent.objects.filter(project=project).first()
    assert event is not None
    assert client.get(page("auditevent", "change", event.pk)).status_code == 200
    assert client.get(page("auditevent", "add")).status_code == 403
    assert client.post(page("auditevent", "change", event.pk), {"action": "x"}).status_code == 403
    assert client.post(page("auditevent", "delete", event.pk), {"post": "yes"}).status_code == 403


# people
def test_a_superuser_makes_a_person(root: User, browser: Callable[[User], Client]) -> None:
    data = {"username": "dora", "usable_password": "false"}
    answer = browser(root).post(page("user", "add"), data)
    assert answer.status_code == 302
    dora = User.objects.get(username="dora")
    assert (dora.is_staff, dora.is_superuser, dora.has_usable_password()) == (False, False, False)
    assert AuditEvent.objects.filter(action="user.created", user_id=root.pk).exists()


def test_a_person_made_superuser_gets_into_the_admin(root: User, browser: Callable[[User], Client]) -> None:
    dora = User.objects.create_user("dora")
    data = {"username": "dora", "is_active": "on", "is_superuser": "on"}
    assert browser(root).post(page("user", "change", dora.pk), data).status_code == 302
    dora.refresh_from_db()
    assert dora.is_staff


# the base that the other rooms derive from
class MembershipAdmin(ProjectAdmin):
    view_scope = "assistants:read"
    change_scope = "members:manage"


def asked_by(user: User, rf: RequestFactory) -> Any:
    request = rf.get("/")
    request.user = user
    return request


def test_permissions_are_those_of_the_rows_own_project(
    alice: User, bob: User, project: Project, charlies_project: Project, rf: RequestFactory
) -> None:
    page_of_members = MembershipAdmin(Membership, admin.site)
    row, foreign = project.memberships.first(), charlies_project.memberships.first()

    request = asked_by(bob, rf)
    assert page_of_members.has_module_permission(request)
    assert page_of_members.has_view_permission(request, row)
    assert not page_of_members.has_change_permission(request, row)
    assert not page_of_members.has_view_permission(request, foreign)
    assert set(page_of_members.get_queryset(request)) == set(project.memberships.all())
    with pytest.raises(PermissionDenied):
        page_of_members.principal_for(request, foreign)

    request = asked_by(alice, rf)
    assert page_of_members.has_change_permission(request, row)
    assert not page_of_members.has_change_permission(request, foreign)
    for nobody in (page_of_members.has_add_permission, page_of_members.has_delete_permission):
        assert not nobody(request)  # not offered
        assert not nobody(asked_by(User(is_superuser=True), rf))
    with pytest.raises(PermissionDenied):
        page_of_members.save_model(request, foreign, None, True)


def test_a_person_of_no_project_may_nothing(project: Project, rf: RequestFactory) -> None:
    request = asked_by(User.objects.create_user("nobody", is_staff=True), rf)
    page_of_members = MembershipAdmin(Membership, admin.site)
    assert not page_of_members.has_module_permission(request)
    assert not page_of_members.get_queryset(request).exists()
    with pytest.raises(PermissionDenied):
        principal_for(request, project.pk)


def test_an_archived_project_vanishes_for_its_members(alice: User, project: Project, rf: RequestFactory) -> None:
    services.archive_project(project=project)
    assert not MembershipAdmin(Membership, admin.site).has_module_permission(asked_by(alice, rf))


def test_choices_of_foreign_keys_are_the_persons_own(
    alice: User, bob: User, project: Project, charlies_project: Project, charlies_key: str, rf: RequestFactory
) -> None:
    page_of_members = MembershipAdmin(Membership, admin.site)

    def choices(user: User, field: ForeignKey[Any, Any]) -> set[Any]:
        queryset = page_of_members.get_field_queryset(None, field, asked_by(user, rf))
        assert queryset is not None
        return set(queryset)

    project_field = Membership._meta.get_field("project")
    user_field = AuditEvent._meta.get_field("project")
    assert choices(alice, project_field) == {project}
    assert choices(bob, project_field) == set()  # he may not change members anywhere
    assert choices(alice, user_field) == {project}

    field = page_of_members.formfield_for_foreignkey(project_field, asked_by(alice, rf))
    assert field.initial == project.pk
    assert field.empty_label is None


def test_a_row_never_moves_to_another_tenant(project: Project, alice: User, rf: RequestFactory) -> None:
    page_of_members = MembershipAdmin(Membership, admin.site)
    row = project.memberships.first()
    assert "project" in page_of_members.get_readonly_fields(asked_by(alice, rf), row)
    assert "project" not in page_of_members.get_readonly_fields(asked_by(alice, rf))


def test_filters_over_relations_offer_only_what_own_rows_have(
    alice: User, project: Project, charlies_key: str, browser: Callable[[User], Client]
) -> None:
    second = services.create_project(name="Second", owner=alice)
    for own in (project, second):
        services.create_api_key(project=own, principal=None)
    content = browser(alice).get(page("apikey")).content.decode()
    assert "Second" in content
    assert "Charlie" not in content


def test_inlines_ask_for_the_project_of_their_parent(
    alice: User, bob: User, project: Project, charlies_project: Project, rf: RequestFactory
) -> None:
    class Keys(ProjectTabularInline):
        model = ApiKey
        parent_path = "pk"
        view_scope = "assistants:read"
        change_scope = "keys:manage"

    inline_of_keys = Keys(Project, admin.site)
    assert inline_of_keys.has_change_permission(asked_by(alice, rf), project)
    assert inline_of_keys.has_view_permission(asked_by(bob, rf), project)
    assert not inline_of_keys.has_change_permission(asked_by(bob, rf), project)
    assert not inline_of_keys.has_view_permission(asked_by(alice, rf), charlies_project)
    assert not inline_of_keys.has_add_permission(asked_by(alice, rf), project)


def test_a_superuser_sets_a_password_and_that_is_noted(
    root: User, bob: User, browser: Callable[[User], Client]
) -> None:
    client = browser(root)
    address = reverse("admin:auth_user_password_change", args=[bob.pk])
    word = "another one entirely"
    for data, is_usable in (
        ({"password1": word, "password2": word}, True),
        ({"usable_password": "false", "unset-password": "yes"}, False),
    ):
        assert client.post(address, data).status_code == 302
        bob.refresh_from_db()
        assert bob.check_password(word) is bob.has_usable_password() is is_usable
        event = AuditEvent.objects.filter(action="user.password_changed").latest("id")
        assert (event.user_id, event.object_id) == (root.pk, str(bob.pk))
        assert event.details == {"username": "bob", "is_usable": is_usable}
    assert client.post(address, {"password1": "short", "password2": "short"}).status_code == 200
    assert AuditEvent.objects.filter(action="user.password_changed").count() == 2
