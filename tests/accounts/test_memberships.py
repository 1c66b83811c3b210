"""Members, their roles, and ownership itself."""

from collections.abc import Callable

import pytest

from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_membership, principal_of_person
from sovereign.accounts.models import AuditEvent, Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, ROLE_SCOPES, Role
from sovereign.core.errors import ApiError

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(project: Project) -> Membership:
    """A viewer."""
    return services.add_member(project=project, user=User.objects.create_user("dora"))


def acting(project: Project, role: str) -> Principal:
    user = User.objects.create_user(f"acting-{role}")
    return principal_of_membership(services.add_member(project=project, user=user, role=role))


def refused(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("role", [role for role in Role.values if "members:manage" not in ROLE_SCOPES[role]])
def test_a_role_without_members_manage_changes_nobody(role: str, project: Project, dora: Membership) -> None:
    principal = acting(project, role)
    stranger = User.objects.create_user("stranger")
    for call in (
        lambda: services.add_member(project=project, user=stranger, principal=principal),
        lambda: services.set_role(membership=dora, role="analyst", principal=principal),
        lambda: services.remove_member(membership=dora, principal=principal),
        lambda: services.rename_project(project=project, name="Mine", principal=principal),
        lambda: services.archive_project(project=project, principal=principal),
        lambda: services.restore_project(project=project, principal=principal),
    ):
        assert refused(call).status == 403
    dora.refresh_from_db()
    assert dora.role == "viewer"


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_only_owners_touch_ownership(role: str, project: Project, dora: Membership, alice: User) -> None:
    principal = acting(project, role)
    owner = Membership.objects.get(user=alice)
    second = services.add_member(project=project, user=User.objects.create_user("second"), role="owner")
    for call in (
        lambda: services.add_member(
            project=project, user=User.objects.create_user("stranger"), role="owner", principal=principal
        ),
        lambda: services.set_role(membership=dora, role="owner", principal=principal),
        lambda: services.set_role(membership=owner, role="admin", principal=principal),
        lambda: services.remove_member(membership=second, principal=principal),
        lambda: services.archive_project(project=project, principal=principal),
        lambda: services.restore_project(project=project, principal=principal),
    ):
        assert refused(call).status == 403
    assert Membership.objects.filter(project=project, role="owner").count() == 2


def test_a_key_with_every_scope_is_no_owner(project: Project, dora: Membership) -> None:
    key = Principal(project_id=project.pk, key_id="key_x", scopes=ALL_SCOPES)
    assert refused(lambda: services.set_role(membership=dora, role="owner", principal=key)).status == 403
    assert services.set_role(membership=dora, role="admin", principal=key).role == "admin"


def test_an_admin_manages_the_others(project: Project) -> None:
    principal = acting(project, "admin")
    membership = services.add_member(project=project, user=User.objects.create_user("new"), principal=principal)
    assert services.set_role(membership=membership, role="admin", principal=principal).role == "admin"
    services.remove_member(membership=membership, principal=principal)
    assert not Membership.objects.filter(pk=membership.pk).exists()


def test_another_tenants_members_are_unknown(project: Project, dora: Membership, charlie: User) -> None:
    outsider = principal_of_person(charlie.pk)
    for call in (
        lambda: services.add_member(project=project, user=charlie, principal=outsider),
        lambda: services.set_role(membership=dora, role="admin", principal=outsider),
        lambda: services.remove_member(membership=dora, principal=outsider),
        lambda: services.rename_project(project=project, name="Mine", principal=outsider),
        lambda: services.archive_project(project=project, principal=outsider),
    ):
        assert refused(call).status == 404
    assert dora not in Membership.objects.visible_to(outsider)


def test_the_last_owner_stays(project: Project, alice: User, bob: User) -> None:
    owner = Membership.objects.get(user=alice)
    principal = principal_of_membership(owner)
    assert refused(lambda: services.remove_member(membership=owner)).code == "last_owner"
    assert refused(lambda: services.remove_member(membership=owner, principal=principal)).code == "last_owner"
    assert refused(lambda: services.set_role(membership=owner, role="admin")).code == "last_owner"

    services.set_role(membership=Membership.objects.get(user=bob), role="owner", principal=principal)
    services.remove_member(membership=owner, principal=principal)
    assert list(Membership.objects.filter(project=project).values_list("user", "role")) == [(bob.pk, "owner")]


def test_a_stale_row_does_not_hide_the_last_owner(project: Project, alice: User) -> None:
    """The service reads the row again under the project's lock."""
    stale = Membership.objects.get(user=alice)
    stale.role = "viewer"
    assert refused(lambda: services.remove_member(membership=stale)).code == "last_owner"


def test_anybody_may_leave_but_only_by_themselves(project: Project, dora: Membership) -> None:
    services.remove_member(membership=dora, principal=principal_of_membership(dora))
    assert not Membership.objects.filter(pk=dora.pk).exists()
    assert refused(lambda: services.remove_member(membership=dora)).status == 404


def test_a_person_is_a_member_once(project: Project, bob: User) -> None:
    assert refused(lambda: services.add_member(project=project, user=bob)).code == "already_member"


@pytest.mark.parametrize("role", ["", "god", "Owner"])
def test_an_unknown_role_is_refused(role: str, project: Project, dora: Membership, charlie: User) -> None:
    assert refused(lambda: services.set_role(membership=dora, role=role)).param == "role"
    assert refused(lambda: services.add_member(project=project, user=charlie, role=role)).param == "role"


def test_who_gets_into_the_admin_follows_from_the_roles(project: Project, dora: Membership) -> None:
    def is_staff() -> bool:
        return User.objects.get(username="dora").is_staff

    assert not is_staff()
    for role, staff in (("analyst", True), ("viewer", False), ("admin", True), ("owner", True)):
        services.set_role(membership=dora, role=role)
        assert is_staff() is staff
    other = services.create_project(name="Dora's", owner=dora.user)
    services.remove_member(membership=dora)
    assert is_staff()  # still an owner elsewhere
    services.add_member(project=other, user=User.objects.create_user("heir"), role="owner")
    services.remove_member(membership=Membership.objects.get(user=dora.user))
    assert not is_staff()


def test_superusers_stay_in_the_admin(project: Project) -> None:
    root = User.objects.create_superuser("root")
    services.remove_member(membership=services.add_member(project=project, user=root))
    root.refresh_from_db()
    assert root.is_staff


def test_the_last_superuser_stays(db: None) -> None:
    root = User.objects.create_superuser("root")
    root.is_superuser = False
    assert refused(lambda: services.save_user(user=root)).code == "last_superuser"
    User.objects.create_superuser("second")
    services.save_user(user=root)
    root.refresh_from_db()
    assert not root.is_superuser
    assert not root.is_staff


def test_changes_of_members_are_audited(project: Project, dora: Membership, alice: User) -> None:
    principal = principal_of_person(alice.pk)
    services.set_role(membership=dora, role="admin", principal=principal)
    services.set_role(membership=dora, role="admin", principal=principal)  # changes nothing
    services.remove_member(membership=dora, principal=principal)

    events = AuditEvent.objects.filter(object_id=str(dora.pk), user_id=alice.pk).order_by("id")
    assert [(event.action, event.details["role"]) for event in events] == [
        ("membership.changed", "admin"),
        ("membership.removed", "admin"),
    ]
    assert {event.project_id for event in events} == {project.pk}


def test_a_project_is_renamed_archived_and_restored(project: Project, alice: User) -> None:
    principal = principal_of_person(alice.pk)
    assert services.rename_project(project=project, name=" New ", principal=principal).name == "New"
    assert services.archive_project(project=project, principal=principal).archived_at is not None
    services.archive_project(project=project, principal=principal)
    assert services.restore_project(project=project, principal=principal).archived_at is None
    actions = list(AuditEvent.objects.filter(object_type="project").order_by("id").values_list("action", flat=True))
    assert actions == ["project.created", "project.renamed", "project.archived", "project.restored"]


def test_a_project_needs_a_name(db: None) -> None:
    assert refused(lambda: services.create_project(name="  ")).param == "name"
