"""The pages of one assistant, as tabs: each is a page with an address of its own, in whichever room it is made."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from assistants.models import Assistant
from sovereign.accounts.admin.base import projects_allowing
from sovereign.accounts.scopes import ANALYTICS_READ, ASSISTANTS_DEPLOY, ASSISTANTS_READ, CONVERSATIONS_READ

CONFIGURE = "admin:assistants_assistant_change"
VERSIONS = "admin:assistants_assistant_versions"
DEPLOYMENTS = "admin:assistants_assistant_deployments"
CODE = "assistant_code"
#: (title, name of its address, scope that it takes) in the order of a day's work. Names are texts: some pages are made
#: further up. One without a namespace is looked for among all addresses, and then among those of the admin.
TABS: tuple[tuple[str, str, str], ...] = (
    ("Configure", CONFIGURE, ASSISTANTS_READ),
    ("Try", "assistant_try", ASSISTANTS_DEPLOY),
    ("Versions", VERSIONS, ASSISTANTS_READ),
    ("Deployments", DEPLOYMENTS, ASSISTANTS_READ),
    ("Conversations", "assistant_conversations", CONVERSATIONS_READ),
    ("Analytics", "admin:analytics_assistant", ANALYTICS_READ),
    ("Code", CODE, ASSISTANTS_READ),
)


def tabs(request: HttpRequest, assistant: Assistant, current: str) -> list[dict[str, Any]]:
    """Those that the person may open, for ``admin/assistants/tabs.html``: ``{"title", "address", "is_current"}``.

    Addresses have one argument, the assistant's id as the admin quotes it: their views unquote it.

    :param current: the title of the page that this is, or the name of its address.
    """
    return [
        {"title": title, "address": address, "is_current": current in (title, name)}
        for title, name, scope in TABS
        if _is_allowed(request, scope, assistant) and (address := _address(name, assistant))
    ]


def _is_allowed(request: HttpRequest, scope: str, assistant: Assistant) -> bool:
    projects = projects_allowing(request, scope)
    return projects is None or assistant.project_id in projects


def _address(name: str, assistant: Assistant) -> str:
    """Empty where this server has no such page."""
    for full in (name, f"admin:{name}"):
        try:
            return reverse(full, args=[quote(assistant.pk)])
        except NoReverseMatch:
            continue
    return ""
