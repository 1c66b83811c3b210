"""An assistant's pages say which sites show it, with the line for them, and where one more is made."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.admin.utils import quote
from django.test import Client

from assistants.embeds import services
from assistants.embeds.models import EmbedKey
from assistants.models import Assistant, Deployment
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.web.embeds.conftest import SITE

pytestmark = pytest.mark.django_db
Visit = Callable[[User], Client]

EVIL = "<script>alert(1)</script>"


def told(client: Client, assistant: Assistant, page: str = "code/", query: str = "") -> str:
    answer = client.get(f"/admin/assistants/assistant/{quote(assistant.pk)}/{page}{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def making(assistant: Assistant, environment: str = "production") -> str:
    return f"/admin/embeds/embedkey/add/?assistant={assistant.pk}&amp;environment={environment}"


def test_nothing_shows_it_yet_and_what_to_do(alice: User, bob: User, assistant: Assistant, visit: Visit) -> None:
    shown = told(visit(alice), assistant)
    assert "No other site shows it. Nothing of it is deployed yet. Deploy a version first." in shown
    assert "/admin/embeds/embedkey/add/" not in shown
    shown = told(visit(alice), assistant, query="?environment=testing")
    assert "Nothing of this assistant is deployed to testing. Deploy a version first." in shown


def test_who_may_makes_one_from_the_assistants_page(alice: User, bob: User, deployed: Assistant, visit: Visit) -> None:
    client = visit(alice)
    assert "make an embed, and put its line into the site" in told(client, deployed)
    for page in ("code/", "code/?environment=production"):
        assert making(deployed) in told(client, deployed, page)
        assert making(deployed, "staging") not in told(client, deployed, page)
    places = told(client, deployed, "deployments/")
    assert "No other site shows it." in places
    assert "/code/?environment=production#sites" in places
    form = client.get(unescape(making(deployed))).content.decode()
    assert f'value="{deployed.pk}" selected' in form
    assert 'value="production" selected' in form
    given = {
        "assistant": deployed.pk, "environment": "production", "name": "Intranet", "origins": SITE,
        "messages_per_hour": 5, "messages_per_day": 6, "longest_message": 7,
    }  # fmt: skip
    made = client.post("/admin/embeds/embedkey/add/", given)
    embed = EmbedKey.objects.get()
    assert made["Location"] == f"/admin/embeds/embedkey/{quote(embed.pk)}/change/"
    page = client.get(made["Location"]).content.decode()
    assert 'data-copy="tag"' in page
    assert f"data-key=&quot;{embed.public_key}&quot;" in page
    analysts = told(visit(bob), deployed)
    assert f"data-key=&quot;{embed.public_key}&quot;" in analysts, "the tag is no secret"
    assert "/admin/embeds/embedkey/" not in analysts
    assert "ask an administrator of the project" in analysts


@pytest.mark.parametrize("status", ["inactive", "archived"])
def test_of_an_assistant_at_rest_nothing_is_offered(
    alice: User, deployed: Assistant, make: Callable[..., EmbedKey], visit: Visit, status: str
) -> None:
    Assistant.objects.filter(pk=deployed.pk).update(status=status)
    resting = f"This assistant is {status} and answers nobody. Make it active first."
    for query in ("", "?environment=production"):
        assert f"No other site shows it. {resting}" in told(visit(alice), deployed, query=query)
    deployed.refresh_from_db()
    with pytest.raises(ApiError, match=resting):
        make()
    Assistant.objects.filter(pk=deployed.pk).update(status="active")
    deployed.refresh_from_db()
    embed = make()
    Assistant.objects.filter(pk=deployed.pk).update(status=status)
    shown = told(visit(alice), deployed)
    assert f"data-key=&quot;{embed.public_key}&quot;" in shown
    assert "The assistant rests, so that it shows nothing." in shown
    assert making(deployed) not in shown


def test_what_is_refused_is_said_at_its_field_and_nothing_typed_is_lost(
    alice: User, deployed: Assistant, visit: Visit
) -> None:
    given = {
        "assistant": deployed.pk, "environment": "testing", "name": "Our intranet", "origins": SITE,
        "messages_per_hour": 5, "messages_per_day": 6, "longest_message": 7,
    }  # fmt: skip
    answer = visit(alice).post("/admin/embeds/embedkey/add/", given)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "is deployed to testing. Deploy a version first." in page
    assert "Our intranet" in page
    assert not EmbedKey.objects.exists()


def test_the_lines_of_what_is_in_force_are_listed_with_what_they_do(
    alice: User, deployed: Assistant, make: Callable[..., EmbedKey], principal: Principal, visit: Visit
) -> None:
    first, second = make(name=EVIL), make(name="Wiki", allows_anonymous=False)
    revoked = make(name="Old")
    services.revoke_embed(principal=principal, embed=revoked)
    client = visit(alice)
    page = told(client, deployed)
    for embed in (first, second):
        assert f"data-key=&quot;{embed.public_key}&quot;" in page
        assert f'data-copy="tag-{embed.pk}"' in page
    assert revoked.public_key not in page
    assert "alert(1)" in page
    assert EVIL not in page
    assert "whoever opens the site may ask" in page
    assert "leads to the chat, where one logs in" in page
    assert "shows nothing" not in page
    assert first.public_key not in told(client, deployed, query="?environment=staging")
    places = told(client, deployed, "deployments/")
    assert "2 embeds show it on other sites." in places
    Deployment.objects.update(status="retired")
    assert "so that it shows nothing" in told(client, deployed)
    assert "2 embeds show it on other sites." in told(client, deployed, "deployments/")
