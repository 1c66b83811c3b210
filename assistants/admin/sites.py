"""What an assistant's pages say of other sites that show it: their script tags, and where one more is made."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin.utils import quote
from django.db.models import Count
from django.urls import reverse

from assistants.admin.tabs import CODE
from assistants.embeds.models import EmbedKey
from assistants.embeds.services import AT_REST, why_not_shown
from assistants.kinds import Environment
from assistants.models import Assistant
from sovereign.accounts.admin.base import page_of
from sovereign.core.database import now

LISTED = 20  # embeds on the page; all of them stand in their list
SECTION = "sites"  # the section's place on the page


def script_tag(embed: EmbedKey) -> str:
    """The line of HTML that shows it."""
    return f'<script src="{settings.SOVEREIGN.base_url}/embed.js" data-key="{embed.public_key}" async></script>'


def sites(assistant: Assistant, environment: str, *, may_make: bool) -> dict[str, Any]:
    """For ``admin/assistants/sites.html``: the newest embeds in force, what may be made, and else why not.

    :param environment: only its embeds; empty for all.
    :param may_make: whether the person may make and change them.
    """
    wanted = [environment] if environment else list(Environment.values)
    found = EmbedKey.objects.showing(now()).filter(assistant=assistant, environment__in=wanted)
    listed = list(found[: LISTED + 1])
    whys = {one: why_not_shown(assistant, one) for one in wanted}
    return {
        "embeds": [{**_told(embed, may_make), "is_silent": whys[embed.environment]} for embed in listed[:LISTED]],
        "has_more": len(listed) > LISTED,
        "list_address": reverse("admin:embeds_embedkey_changelist") if may_make else "",
        "made_for": [_making(assistant, one) for one in wanted if may_make and not whys[one]],
        "may_make": may_make,
        "is_at_rest": assistant.status in AT_REST,
        "why": "" if not all(whys.values()) else _why(assistant, environment, whys),
    }  # fmt: skip


def _told(embed: EmbedKey, may_change: bool) -> dict[str, Any]:
    return {
        "id": f"tag-{embed.pk}",
        "name": embed.name,
        "address": page_of(embed) if may_change else "",
        "tag": script_tag(embed),
        "origins": ", ".join(embed.origins),
        "environment": str(Environment(embed.environment).label),
        "is_open": embed.allows_anonymous,
    }


def _making(assistant: Assistant, environment: str) -> tuple[str, str]:
    """The environment in words, and the form that is filled in for it."""
    asked = {"assistant": assistant.pk, "environment": environment}
    return str(Environment(environment).label), f"{reverse('admin:embeds_embedkey_add')}?{urlencode(asked)}"


def _why(assistant: Assistant, environment: str, whys: dict[str, str]) -> str:
    """Why there can be none in any of these."""
    if environment or assistant.visibility != "project" or assistant.status in AT_REST:
        return next(iter(whys.values()))
    return "Nothing of it is deployed yet. Deploy a version first."


def on_places(assistant: Assistant) -> dict[str, dict[str, Any]]:
    """Of each environment ``{"number", "address"}``: of the embeds that show what is deployed there."""
    found = EmbedKey.objects.showing(now()).filter(assistant=assistant).order_by()
    numbers = dict(found.values_list("environment").annotate(number=Count("pk")))
    page = reverse(f"admin:{CODE}", args=[quote(assistant.pk)])
    return {
        one.value: {"number": numbers.get(one.value, 0), "address": f"{page}?environment={one.value}#{SECTION}"}
        for one in Environment
    }
