"""People themselves. Who gets into the admin (``is_staff``) follows from memberships."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from sovereign.accounts import audit
from sovereign.accounts.models import Membership, User
from sovereign.accounts.scopes import STAFF_ROLES
from sovereign.accounts.services.guards import require_text
from sovereign.core.database import service
from sovereign.core.errors import ApiError

NAME_LENGTHS = {"first_name": 150, "last_name": 150, "language": 8, "time_zone": 64}  # characters, of the columns


@service
def save_user(*, user: User, by: int | None = None) -> User:
    """Store a new or changed person. Only superusers get here; the last of them stays one.

    :param by: the id of the superuser who does it; ``None`` for the operator.
    """
    existed = user.pk is not None
    if existed and not User.objects.filter(pk=user.pk, email=user.email).exists():
        user.has_unverified_email = False  # by now a superuser says it
    if existed and not (user.is_superuser and user.is_active):
        _keep_a_superuser(user)
    user.is_staff = user.is_superuser or (existed and _entitled(user.pk))
    user.save()
    rights = {"is_active": user.is_active, "is_superuser": user.is_superuser}
    audit.record_of_person(by, "user.changed" if existed else "user.created", user, username=user.username, **rights)
    return user


@service
def register_person(*, username: str, email: str, is_verified: bool, password: str | None = None, **names: str) -> User:
    """A person who comes by themselves: by an invitation, or from where they log in elsewhere (no password).

    :param is_verified: whether somebody has checked that the address is theirs.
    :param password: checked by the form that took it.
    :param names: ``first_name``, ``last_name``.
    :raises ApiError: the user name is taken.
    """
    username = require_text(username, param="username", longest=150)
    taken = ApiError("This user name is taken. Choose another.", param="username", code="username_taken")
    if User.objects.filter(username__iexact=username).exists():
        raise taken
    try:
        with transaction.atomic():
            user = User.objects.create_user(username, email, password, has_unverified_email=not is_verified, **names)
    except IntegrityError:  # by somebody who came at the same time
        raise taken from None
    audit.record_of_person(user.pk, "user.registered", user, username=username, has_password=password is not None)
    return user


@service
def verify_email(*, user: User, email: str) -> None:
    """Who checks addresses says that this one is theirs; where it is another than the account's, nothing changes."""
    User.objects.filter(pk=user.pk, email__iexact=email).update(has_unverified_email=False)


@service
def vouch_for_email(*, user: User, by: int | None = None) -> bool:
    """A superuser says that the address of the account is its person's.

    :param user: as it was shown: where it has another address by now, nothing changes.
    :param by: the id of the superuser; ``None`` for the operator.
    :returns: whether nobody had said so before.
    """
    unchecked = User.objects.filter(pk=user.pk, email=user.email, has_unverified_email=True)
    if not unchecked.update(has_unverified_email=False):
        return False
    audit.record_of_person(by, "user.email_checked", user, username=user.username, email=user.email)
    return True


@service
def save_profile(*, user: User, **changes: str) -> User:
    """What people say about themselves: ``first_name``, ``last_name``, ``language``, ``time_zone``.

    :raises ApiError: a text that is too long for its column.
    """
    for name, value in changes.items():
        setattr(user, name, require_text(value, param=name, longest=NAME_LENGTHS[name]) if value.strip() else "")
    user.save(update_fields=list(changes))
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
