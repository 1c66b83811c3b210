"""Who comes by OpenID Connect for the first time: by an invitation, or from a domain that the operator trusts.

An email address opens nothing by itself. It is believed only where the provider says that it was verified, it never
leads to an account that exists, and it lets somebody new in only where its domain is in ``OIDC_EMAIL_DOMAINS``. One
that an account has of an invitation was verified by nobody, and keeps nobody out: who comes is asked whether they are
its person (``choosing``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _

from sovereign.accounts import services
from sovereign.accounts.models import Membership, Project, User
from sovereign.core.errors import ApiError

NAME_LENGTH = 150  # characters, of the columns
BASE_LENGTH = 140  # of a user name that a number may follow
NOT_IN_A_NAME = re.compile(r"[^\w.@+-]")
NAMES_TRIED = 100


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a provider says of somebody, as far as it is used."""

    email: str  # "" where there is none that was verified
    name: str  # what a user name is made of
    first_name: str
    last_name: str

    @classmethod
    def of(cls, claims: dict[str, Any]) -> Arrival:
        said = {name: value.strip() for name, value in claims.items() if isinstance(value, str)}
        is_verified = claims.get("email_verified") is True or said.get("email_verified", "").lower() == "true"
        email = said.get("email", "") if is_verified and _is_email(said.get("email", "")) else ""
        first, _space, last = said.get("name", "").partition(" ")
        return cls(
            email=email,
            name=said.get("preferred_username") or email.partition("@")[0] or said.get("name", ""),
            first_name=_storable(said.get("given_name") or first),
            last_name=_storable(said.get("family_name") or last),
        )

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2].lower()


class MayBeKnown(Exception):
    """An account that was invited has the address of who comes: they are to be asked whether it is theirs."""


def let_in(came: Arrival, invitation: str | None, *, is_new: bool) -> tuple[User, Membership]:
    """A new person, and their membership.

    :param invitation: the secret of the one they came by.
    :param is_new: that they said so.
    :raises ApiError: not invited, or their address belongs to an account that is here.
    :raises MayBeKnown: nothing is made yet.
    """
    _refuse_known(came)
    sign_on = settings.SOVEREIGN.sign_on
    if invitation is None and (not came.email or came.domain not in sign_on.email_domains):
        text = _("Nobody has invited you yet. Ask an administrator of a project for an invitation.")
        raise ApiError(text, code="not_invited")
    if came.email and not is_new and User.objects.filter(email__iexact=came.email).exists():
        raise MayBeKnown
    names = {"first_name": came.first_name, "last_name": came.last_name, "username": _free_name(came)}
    if invitation is not None:
        return services.register_invited(secret=invitation, password=None, email=came.email, **names)
    user = services.register_person(email=came.email, is_verified=True, **names)
    return user, services.add_member(project=_project(sign_on.project), user=user, role=sign_on.role)


def _refuse_known(came: Arrival) -> None:
    """:raises ApiError: an account has their address, and somebody checked that it is its person's."""
    if came.email and User.objects.filter(email__iexact=came.email, has_unverified_email=False).exists():
        raise ApiError(
            _("There is an account with your email address. Log in with its password, then connect it on its page."),
            code="address_of_an_account",
        )


def invitation_in(following: Any) -> str | None:
    """The secret of the invitation whose page somebody logs in from."""
    try:
        match = resolve(following) if isinstance(following, str) else None
    except Resolver404:
        return None
    return match.kwargs["secret"] if match is not None and match.url_name == "invitation" else None


def _project(wanted: str) -> Project:
    active = Project.objects.active().order_by("created_at", "id")
    project = (active.filter(pk=wanted) if wanted else active).first()
    if project is None:
        raise ApiError(_("There is no project to come into. Tell your administrator."), code="no_project")
    return project


def _free_name(came: Arrival) -> str:
    base = NOT_IN_A_NAME.sub("", came.name)[:BASE_LENGTH] or "member"
    alike = User.objects.filter(username__istartswith=base).values_list("username", flat=True)
    taken = {name.lower() for name in alike}
    names = [base, *(f"{base}{number}" for number in range(2, NAMES_TRIED))]
    return next((name for name in names if name.lower() not in taken), names[-1])


def _storable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:NAME_LENGTH]


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
