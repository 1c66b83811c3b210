"""Who uses the chat, and which threads are theirs."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from sovereign.accounts import credentials
from sovereign.accounts.models import Membership
from sovereign.accounts.principals import Principal
from threads.models import Thread


def principal_of(request: HttpRequest) -> Principal:
    """The person in their active project; never a key: these pages are for sessions.

    :raises ApiError: 403, a member of no project.
    """
    named = request.headers.get(credentials.PAGE_PROJECT)
    return credentials.principal_of_person(
        person_of(request), named or request.session.get(credentials.SESSION_PROJECT)
    )


def person_of(request: HttpRequest) -> int:
    """The id of the person whose session it is; the views ask for one first."""
    if request.user.pk is None:
        raise PermissionDenied
    return request.user.pk


def own_thread(request: HttpRequest, principal: Principal, thread_id: str) -> Thread:
    """One of the person's own threads, in any of their projects.

    :raises Http404: unknown, deleted, somebody else's.
    """
    projects = memberships_of(request).values("project_id")
    own = Thread.objects.standing().owned_by(person_of(request))
    thread: Thread | None = own.filter(pk=thread_id, project_id__in=projects).first()
    if thread is None:
        raise Http404
    return thread


def memberships_of(request: HttpRequest) -> Any:
    return Membership.objects.in_force().filter(user_id=person_of(request))
