"""People themselves. Who gets into the admin (``is_staff``) follows from memberships."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from sovereign.accounts import audit
from sovereign.accounts.models import Membership, User
from sovereign.accounts.scopes import STAFF_ROLES
from sovereign.core.database import service
from sovereign.core.errors import ApiError


@service
def save_user(*, user: User, by: int | None = None) -> User:
    """Store a new or changed person. Only superusers get here; the last of them stays one.

    :param by: the id of the superuser who does it; ``None`` for the operator.
    """
    existed = user.pk is not None
    if existed and not (user.is_superuser and user.is_active):
        _keep_a_superuser(user)
    user.is_staff = user.is_superuser or (existed and _entitled(user.pk))
    user.save()
    rights = {"is_active": user.is_active, "is_superuser": user.is_superuser}
    audit.record_of_person(by, "user.changed" if existed else "user.created", user, username=user.username, **rights)
    return user


@service
def set_password(*, user: User, password: str | None, by: int | None = None) -> User:
    """Give a person another password, or with ``None`` no usable one; their sessions and sockets end.

    :param by: the id of the person who does it; ``None`` for the operator.
    """
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    user.save(update_fields=["password"])
    audit.record_of_person(by, "user.password_changed", user, username=user.username, is_usable=password is not None)
    return user


def keep_staff_in_step(user_id: int) -> None:
    """Set ``is_staff`` from the person's roles; superusers always keep it."""
    entitled = Membership.objects.filter(user=OuterRef("pk"), role__in=STAFF_ROLES)
    User.objects.filter(pk=user_id, is_superuser=False).update(is_staff=Exists(entitled))


def _entitled(user_id: int) -> bool:
    return Membership.objects.filter(user_id=user_id, role__in=STAFF_ROLES).exists()


def _keep_a_superuser(user: User) -> None:
    superusers = User.objects.filter(is_superuser=True, is_active=True)
    was_one = superusers.filter(pk=user.pk).exists()
    if was_one and not superusers.exclude(pk=user.pk).exists():
        raise ApiError("The last superuser cannot be taken away.", param="is_superuser", code="last_superuser")
