"""What a prompt's page shows below its form: versions, labels, a comparison, and who uses it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from assistants.prompts import services
from assistants.prompts.models import Prompt, PromptVersion
from assistants.prompts.services import Use
from sovereign.accounts.models import ApiKey, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

VERSIONS_SHOWN = 50
BEFORE, AFTER = "from", "to"  # of the address of a comparison


def shown(request: HttpRequest, prompt: Prompt, principal: Principal, *, may_change: bool) -> dict[str, Any]:
    """The context of ``admin/prompts/history.html``."""
    versions = list(prompt.versions.select_related("parent").prefetch_related("labels")[: VERSIONS_SHOWN + 1])
    newest = versions[0].number
    return {
        "prompt": prompt,
        "may_change": may_change,
        "versions": _rows(versions[:VERSIONS_SHOWN], newest),
        "has_older": len(versions) > VERSIONS_SHOWN,
        "newest": newest,
        "labels": list(prompt.labels.select_related("version")),
        "uses": [_use(use) for use in services.uses_of(principal, prompt)],
        **_comparison(request, prompt),
    }


def _rows(versions: list[Any], newest: int) -> list[dict[str, Any]]:
    people = User.objects.in_bulk([version.created_by_user for version in versions if version.created_by_user])
    keys = ApiKey.objects.in_bulk([version.created_by_key for version in versions if version.created_by_key])
    return [
        {
            "version": version,
            "labels": [label.name for label in version.labels.all()],
            "by": _maker(version, people, keys),
            "is_newest": version.number == newest,
        }
        for version in versions
    ]


def _maker(version: PromptVersion, people: dict[int, User], keys: dict[str, ApiKey]) -> str:
    if version.created_by_user is not None:
        return str(people.get(version.created_by_user, "somebody who is gone"))
    return f"key {keys[version.created_by_key].name}" if version.created_by_key in keys else "a key that is gone"


def _comparison(request: HttpRequest, prompt: Prompt) -> dict[str, Any]:
    """What ``?from=2&to=3`` asks for; what cannot be found is said."""
    before, after = request.GET.get(BEFORE), request.GET.get(AFTER)
    if not before or not after:
        return {}
    try:
        old, new = services.find_version(prompt, before), services.find_version(prompt, after)
    except ApiError as error:
        return {"comparison_problem": error.message}
    found = services.difference(old, new)
    return {
        "comparison": found,
        "is_same": not found.lines and not found.variables,
        "changed_variables": [_variable(change) for change in found.variables],
    }


def _variable(change: dict[str, Any]) -> dict[str, Any]:
    before, after = change["before"] or {}, change["after"] or {}
    fields = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {
        **change,
        "fields": [{"name": name, "before": before.get(name), "after": after.get(name)} for name in fields]
        if change["kind"] == "changed"
        else [],
    }


def _use(use: Use) -> dict[str, Any]:
    what = f"version {use.version}" if use.version else f"label {use.label}" if use.label else "the newest version"
    return {"use": use, "what": what, "address": _address_of(use.assistant_id)}


def _address_of(assistant_id: str | None) -> str:
    """The assistant's page, which belongs to the rooms above: where they have none, there is no link."""
    if assistant_id is None:
        return ""
    try:
        return reverse("admin:assistants_assistant_change", args=[quote(assistant_id)])
    except NoReverseMatch:
        return ""
