"""Who is logged in, as a row."""

from __future__ import annotations

from django.http import HttpRequest

from sovereign.accounts.models import User


def person(request: HttpRequest) -> User:
    """A row of its own, not ``request.user``: what a form writes into it is not what the page shows.

    :raises User.DoesNotExist: nobody; the views ask for a session first.
    """
    return User.objects.get(pk=request.user.pk or 0)
