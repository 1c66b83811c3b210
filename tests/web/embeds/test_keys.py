"""Keys that show an assistant on other sites: who makes them, which sites they are for, and what ends them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from assistants.embeds import services
from assistants.embeds.models import EmbedKey
from assistants.models import Assistant
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import ApiKey, AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.web.embeds.conftest import INSTRUCTIONS, SITE, Browser

pytestmark = pytest.mark.django_db


def test_the_key_behind_it_is_an_ordinary_one_that_can_do_little(embed: EmbedKey) -> None:
    key = ApiKey.objects.get(pk=embed.api_key_id)
    assert sorted(key.scopes) == ["runs:read", "runs:write", "threads:read", "threads:write"]
    assert key.environment == "production"
    assert AuditEvent.objects.filter(action="embed.created", object_id=embed.pk).exists()
    assert embed.public_key.startswith("pk-sov-")


@pytest.mark.parametrize(
    "origin",
    [
        "*", "https://*", "https://*.example", "http://intranet.example", "https://a.example/path", "javascript:x",
        "https://a.example; script-src *", "https://a.example https://b.example", "https://a.example'", "null",
        "https://user@a.example", "https://a.example:0", "https://a.example:70000", "https://a.example\n", "file://",
        "data:", "self", "http://[::1]", "https://[2001:db8::1]:8443",
        "https://bücher.example", "https://a.example?x", "https://-a.example", "//a.example", "https://",
    ],
)  # fmt: skip
def test_what_is_no_exact_safe_origin_is_refused(make: Callable[..., EmbedKey], origin: str) -> None:
    if origin.endswith("\n"):
        assert make(origins=[origin]).origins == ["https://a.example"]
        return
    with pytest.raises(ApiError) as refused:
        make(origins=[origin])
    assert refused.value.param == "origins"


def test_origins_are_kept_as_browsers_say_them(make: Callable[..., EmbedKey]) -> None:
    wished = [
        "HTTPS://Intranet.Example/",
        "https://intranet.example:443",
        "http://localhost:8000",
        "http://127.0.0.1:80",
        "",
    ]
    assert make(origins=wished).origins == ["https://intranet.example", "http://localhost:8000", "http://127.0.0.1"]
    with pytest.raises(ApiError):
        make(origins=[])


def test_who_may_not_promote_makes_changes_and_revokes_none(
    embed: EmbedKey, deployed: Assistant, bob: User, project: Project, charlie: User
) -> None:
    analyst, outsider = principal_of_person(bob.pk, project.pk), principal_of_person(charlie.pk)
    for who, status in ((analyst, 403), (outsider, 404)):
        for act in (
            lambda who=who: services.create_embed(
                principal=who, assistant=deployed, environment="production", name="x", origins=[SITE]
            ),
            lambda who=who: services.change_embed(principal=who, embed=embed, origins=["https://evil.example"]),
            lambda who=who: services.revoke_embed(principal=who, embed=embed),
        ):
            with pytest.raises(ApiError) as refused:
                act()
            assert refused.value.status == status
    embed.refresh_from_db()
    assert embed.revoked_at is None
    assert embed.origins == [SITE]


def test_what_is_not_deployed_or_kept_to_oneself_is_not_shown(
    make: Callable[..., EmbedKey], embed: EmbedKey, deployed: Assistant
) -> None:
    with pytest.raises(ApiError) as refused:
        make(environment="staging")
    assert refused.value.code == "not_deployed"
    Assistant.objects.filter(pk=deployed.pk).update(visibility="private")
    deployed.refresh_from_db()
    with pytest.raises(ApiError):
        make()
    assert Client().get(f"/embed/{embed.public_key}").status_code == 404


@pytest.mark.parametrize(
    "wish", [{"messages_per_hour": 0}, {"messages_per_day": 10**9}, {"longest_message": -1}, {"most": 1}]
)
def test_limits_have_bounds(make: Callable[..., EmbedKey], wish: dict[str, int]) -> None:
    with pytest.raises(ApiError):
        make(**wish)


# ------------------------------------------------------------------------------------------------ the page


def test_only_its_origins_may_frame_the_page(embed: EmbedKey) -> None:
    response = Client().get(f"/embed/{embed.public_key}")
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy["frame-ancestors"] == SITE
    assert policy["script-src"] == "'self'"
    assert policy["default-src"] == "'none'"
    assert "X-Frame-Options" not in response
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies
    shown = response.content.decode()
    for secret in (INSTRUCTIONS, embed.assistant_id, embed.api_key_id, embed.project_id):
        assert secret not in shown
    chat = Client().get("/login")
    assert chat["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in chat["Content-Security-Policy"]


def test_what_shows_nothing_is_one_page(embed: EmbedKey, principal: Principal, project: Project) -> None:
    def gone(address: str = "") -> str:
        response = Client(headers={"Accept": "text/html"}).get(f"/embed/{address or embed.public_key}")
        assert response.status_code == 404
        assert response["X-Frame-Options"] == "DENY"
        return re.sub(r'value="[^"]*"', "", response.content.decode())

    unknown = gone("pk-sov-unknown")
    Project.objects.filter(pk=project.pk).update(archived_at=timezone.now())
    assert gone() == unknown
    Project.objects.filter(pk=project.pk).update(archived_at=None)
    Assistant.objects.filter(pk=embed.assistant_id).update(status="archived")
    assert gone() == unknown
    Assistant.objects.filter(pk=embed.assistant_id).update(status="active")
    services.revoke_embed(principal=principal, embed=embed)
    assert gone() == unknown


def test_the_script_is_the_same_for_everybody() -> None:
    response = Client().get("/embed.js")
    assert response["Content-Type"].startswith("text/javascript")
    assert "innerHTML" not in response.content.decode()
    assert not response.cookies


def test_without_anonymous_chat_nobody_gets_in(make: Callable[..., EmbedKey]) -> None:
    embed = make(allows_anonymous=False)
    shown = Client().get(f"/embed/{embed.public_key}").content.decode()
    assert 'target="_blank"' in shown
    assert "<textarea" not in shown
    assert Browser(embed, token="").call("post", "visitors").status_code == 403


def test_once_it_is_switched_off_tokens_open_nothing(visitor: Browser, principal: Principal) -> None:
    services.change_embed(principal=principal, embed=visitor.embed, allows_anonymous=False)
    assert visitor.ask().status_code == 401


def test_an_owner_makes_one_in_the_admin_and_revokes_it(
    alice: User, bob: User, deployed: Assistant, visit: Callable[[User], Client]
) -> None:
    User.objects.filter(pk__in=(alice.pk, bob.pk)).update(is_staff=True)
    form = {
        "assistant": deployed.pk, "environment": "production", "name": "Intranet", "origins": f"{SITE}\nhttp://localhost:1",
        "allows_anonymous": "on", "messages_per_hour": 5, "messages_per_day": 6, "longest_message": 7,
    }  # fmt: skip
    client = visit(alice)
    assert visit(bob).post("/admin/embeds/embedkey/add/", form).status_code == 403
    wrong = client.post("/admin/embeds/embedkey/add/", {**form, "origins": "https://*"})
    assert "is no origin" in wrong.content.decode()
    assert client.post("/admin/embeds/embedkey/add/", form).status_code == 302
    embed = EmbedKey.objects.get()
    assert embed.origins == [SITE, "http://localhost:1"]
    assert (embed.messages_per_hour, embed.messages_per_day, embed.longest_message) == (5, 6, 7)
    address = f"/admin/embeds/embedkey/{embed.pk}/change/"
    page = client.get(address).content.decode()
    assert f"data-key=&quot;{embed.public_key}&quot;" in page
    assert client.post(address, {**form, "name": "Other"}).status_code == 302
    assert client.get("/admin/embeds/embedkey/").status_code == 200
    client.post("/admin/embeds/embedkey/", {"action": "revoke", "_selected_action": [embed.pk]})
    embed.refresh_from_db()
    assert embed.name == "Other"
    assert embed.revoked_at is not None
    assert client.get(address).status_code == 200
