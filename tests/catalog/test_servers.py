"""MCP servers: who may register them, what is sent where, and what is allowed of what they list."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from assistants.catalog import services
from assistants.catalog.mcp import McpError
from assistants.catalog.models import McpServer
from assistants.services import create_assistant
from inference.services import register_models
from sovereign.accounts import services as accounts
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.errors import ApiError
from tests.catalog.people import URL, a_server, again, listed, person, tool

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(alice: User, project: Project) -> Principal:
    """Alice, where she is a superuser as well."""
    alice.is_superuser = True
    alice.save()
    return person(alice)


def test_an_administrator_registers_a_server(alice: User, project: Project) -> None:
    made = services.create_server(principal=person(alice), label="tools", url=f" {URL}/ ", key="secret-of-tools")
    kept = McpServer.objects.get()
    assert (kept.pk, kept.project) == (made.pk, project)
    assert kept.url == f"{URL}/"  # a slash at the end may make another address
    assert "secret-of-tools" not in kept.sealed_key
    assert kept.endpoint().headers == {"Authorization": "Bearer secret-of-tools"}
    assert kept.needs_approval("anything")
    audited = AuditEvent.objects.get(action="mcpserver.created")
    assert "secret-of-tools" not in str(audited.details)
    assert audited.details["key"] is True


def test_an_analyst_and_a_key_register_nothing(bob: User, project: Project) -> None:
    key = Principal(project_id=project.pk, key_id="key_x", scopes=ALL_SCOPES)
    for principal in (person(bob), key):
        with pytest.raises(ApiError) as refused:
            services.create_server(principal=principal, label="tools", url=URL)
        assert refused.value.status == 403
    assert not McpServer.objects.exists()


@pytest.mark.parametrize(
    ("described", "param", "words"),
    [
        ({"label": "With Capitals"}, "label", "small letters"),
        ({"label": ""}, "label", "small letters"),
        ({"label": "x" * 33}, "label", "up to 32"),
        ({"url": "ftp://a.example/"}, "url", "http:// or https://"),
        ({"url": "http://a.example/mcp"}, "url", "https://"),
        ({"url": "https://10.0.0.5/mcp"}, "url", "inner network"),
        ({"url": "https://localhost/mcp"}, "url", "inner network"),
        ({"url": "https://[::ffff:127.0.0.1]/mcp"}, "url", "inner network"),
        ({"url": "https://2130706433/mcp"}, "url", "plainly written"),
        ({"url": "https://a.example\\@b.example/"}, "url", "not one of an HTTP server"),
        ({"url": "https://user:word@a.example/"}, "url", "user or a password"),
        ({"url": "https://a.example/mcp?key=1"}, "url", "ends with its path"),
        ({"header": "Host"}, "header", "one for a credential"),
        ({"header": "Mcp-Session-Id"}, "header", "one for a credential"),
        ({"header": "X Key"}, "header", "one for a credential"),
        ({"key": "a\r\nb"}, "key", "printable ASCII"),
        ({"key": "with space"}, "key", "printable ASCII"),
        ({"timeout": 0}, "timeout", "One second"),
        ({"timeout": 301}, "timeout", "300"),
        ({"approval": "sometimes"}, "approval", "always"),
        ({"key_variable": "SOVEREIGN_SECRET_KEY"}, "key_variable", "_API_KEY"),
        ({"key_variable": "SOVEREIGN_ENGINE_API_KEY"}, "key_variable", "_API_KEY"),
        ({"key_variable": "OPENAI_API_KEY"}, "key_variable", "may not be sent to tools.example.org"),
        ({"inner_network": True, "url": "http://10.0.0.5/mcp"}, "inner_network", "Only a superuser"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(alice: User, project: Project, described: dict[str, Any], param: str,
                                            words: str) -> None:  # fmt: skip
    with pytest.raises(ApiError) as refused:
        services.create_server(principal=person(alice), **{"label": "tools", "url": URL, **described})
    assert refused.value.param == param
    assert words in refused.value.message
    assert not McpServer.objects.exists()


def test_what_reaches_into_the_house_is_decided_by_superusers(operator: Principal, bob: User, project: Project) -> None:
    inner = "http://10.0.0.5/mcp"
    made = services.create_server(principal=operator, label="inner", url=inner, inner_network=True)
    assert made.endpoint().inner_network
    admin = User.objects.create_user("administrator")
    accounts.add_member(project=project, user=admin, role="admin")
    services.update_server(principal=person(admin), server_id=made.pk, timeout=5, enabled=False)
    for change in ({"url": "http://10.0.0.6/mcp"}, {"header": "X-Key"}):
        with pytest.raises(ApiError, match="Only a superuser") as refused:
            services.update_server(principal=person(admin), server_id=made.pk, **change)
        assert refused.value.status == 403
    assert again(made).url == inner


def test_a_credential_goes_to_the_address_it_was_given_for(alice: User, project: Project) -> None:
    made = services.create_server(principal=person(alice), label="tools", url=URL, key="secret-of-tools")
    for change in ({"url": "https://elsewhere.example/mcp"}, {"header": "X-API-Key"}):
        with pytest.raises(ApiError, match="enter it again") as refused:
            services.update_server(principal=person(alice), server_id=made.pk, **change)
        assert refused.value.param == "key"
    assert again(made).endpoint().headers == {"Authorization": "Bearer secret-of-tools"}
    services.update_server(principal=person(alice), server_id=made.pk, header="X-API-Key", key="another")
    assert again(made).endpoint().headers == {"X-API-Key": "another"}
    services.update_server(principal=person(alice), server_id=made.pk, key="")
    assert again(made).endpoint().headers == {}
    assert AuditEvent.objects.filter(action="mcpserver.changed").count() == 2


def test_a_variable_of_the_environment_is_sent_where_the_environment_says(
    operator: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = {"TOOLS_API_KEY": ("tools.example.org",)}
    monkeypatch.setattr(settings, "SOVEREIGN", replace(settings.SOVEREIGN, key_hosts=hosts))
    monkeypatch.setenv("TOOLS_API_KEY", "of-the-environment")
    made = services.create_server(principal=operator, label="tools", url=URL, key_variable="TOOLS_API_KEY")
    assert made.endpoint().headers == {"Authorization": "Bearer of-the-environment"}
    with pytest.raises(ApiError, match=r"may not be sent to elsewhere\.example"):
        services.update_server(principal=operator, server_id=made.pk, url="https://elsewhere.example/mcp")
    with pytest.raises(ApiError, match="Either a credential or the variable"):
        services.update_server(principal=operator, server_id=made.pk, key="both")
    monkeypatch.setattr(settings, "SOVEREIGN", replace(settings.SOVEREIGN, key_hosts={}))  # not meant any more
    assert made.endpoint().headers == {}
    assert not services.update_server(principal=operator, server_id=made.pk, enabled=False).enabled


def test_only_what_was_allowed_and_is_still_the_same_is_offered(alice: User, project: Project) -> None:
    server = a_server(alice, tool("look"), tool("write"), tool("broken", problem="Its name is wrong."))
    assert again(server).offered(None) == []
    services.allow_tools(
        principal=person(alice), server_id=server.pk,
        allowed={"look": tool("look").digest, "write": tool("write").digest}, unasked=["look", "unknown"],
    )  # fmt: skip
    assert [tool.name for tool in again(server).offered(None)] == ["look", "write"]
    assert [tool.name for tool in again(server).offered(["write", "gone"])] == ["write"]
    assert again(server).unasked_tools == ["look"]

    server = listed(server, tool("look", digest="another"), tool("write"))
    assert [tool.name for tool in server.offered(None)] == ["write"]
    assert [tool.name for tool in server.tools if server.has_changed(tool)] == ["look"]
    assert AuditEvent.objects.get(action="mcpserver.tools_changed").details == {"withheld": ["look"]}

    listed(server, tool("look", digest="another"), tool("write"))  # said once, not with every listing
    assert AuditEvent.objects.filter(action="mcpserver.tools_changed").count() == 1
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed={"look": "another"})
    assert [tool.name for tool in again(server).offered(None)] == ["look"]
    services.update_server(principal=person(alice), server_id=server.pk, enabled=False)
    assert again(server).offered(None) == []


@pytest.mark.parametrize(("name", "digest"), [("look", "older"), ("gone", "digest-of-gone")])
def test_what_was_not_seen_is_not_allowed(alice: User, project: Project, name: str, digest: str) -> None:
    server = a_server(alice, tool("look"), tool("write"))
    with pytest.raises(ApiError, match="has changed since this page was shown"):
        services.allow_tools(
            principal=person(alice), server_id=server.pk,
            allowed={"write": tool("write").digest, name: digest},
        )  # fmt: skip
    assert again(server).allowed == {}


def test_a_tool_that_is_broken_is_not_allowed(alice: User, project: Project) -> None:
    server = a_server(alice, tool("broken", problem="Its description is no text."))
    with pytest.raises(ApiError, match=r"cannot be allowed\. Its description"):
        services.allow_tools(principal=person(alice), server_id=server.pk, allowed={"broken": tool("broken").digest})


@pytest.mark.parametrize(
    ("approval", "needed"),
    [("always", [True, True, True]), ("listed", [False, True, True]), ("never", [False, False, False])],
)
def test_approval_is_asked_by_policy(alice: User, project: Project, approval: str, needed: list[bool]) -> None:
    server = a_server(alice, tool("look"), tool("write"), approval=approval)
    allowed = {name: tool(name).digest for name in ("look", "write")}
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed=allowed, unasked=["look"])
    assert [again(server).needs_approval(name) for name in ("look", "write", "new")] == needed


def test_a_server_that_asks_for_some_tools_asks_for_all_until_somebody_unticks_one(
    alice: User, project: Project
) -> None:
    server = a_server(alice, tool("look"), tool("write"))
    allowed = {name: tool(name).digest for name in ("look", "write")}
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed=allowed)
    services.update_server(principal=person(alice), server_id=server.pk, approval="listed")
    assert [again(server).needs_approval(name) for name in ("look", "write")] == [True, True]
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed=allowed, unasked=["look"])
    assert not again(server).needs_approval("look")
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed={})
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed=allowed, unasked=[])
    assert again(server).needs_approval("look")  # allowed anew is asked about anew


def test_another_address_is_another_server(alice: User, project: Project) -> None:
    server = a_server(alice, tool("look"))
    services.allow_tools(principal=person(alice), server_id=server.pk, allowed={"look": tool("look").digest})
    services.update_server(principal=person(alice), server_id=server.pk, url="https://elsewhere.example/mcp")
    assert again(server).allowed == {}
    assert again(server).tools == []
    assert services.store_listing(server_id=server.pk, url=URL, listed=[tool("look")]) is None
    assert again(server).tools == []  # what the old address said came too late


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_away_keeps_its_tools(alice: User, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    server = a_server(alice, tool("look"))

    async def away(endpoint: object) -> list[Any]:
        raise McpError("The MCP server cannot be reached.")

    monkeypatch.setattr("assistants.catalog.mcp.list_tools", away)
    asked = asyncio.run(services.refresh_listing(server.pk))
    assert asked is not None
    assert asked.listing_error == "The MCP server cannot be reached."
    assert [tool.name for tool in asked.tools] == ["look"]

    async def back(endpoint: object) -> list[Any]:
        return [tool("look"), tool("new")]

    monkeypatch.setattr("assistants.catalog.mcp.list_tools", back)
    asyncio.run(services.refresh_listing(server.pk))
    assert again(server).listing_error == ""
    assert [tool.name for tool in again(server).tools] == ["look", "new"]


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_not_enabled_is_asked_nothing(
    alice: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = a_server(alice, enabled=False)
    monkeypatch.setattr("assistants.catalog.mcp.list_tools", lambda _: pytest.fail("it was asked"))
    assert asyncio.run(services.refresh_listing(server.pk)) is None


@pytest.mark.django_db(transaction=True)
def test_a_worker_refreshes_a_listing_from_its_loop(
    alice: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = a_server(alice)

    async def one(endpoint: object) -> list[Any]:
        return [tool("look")]

    monkeypatch.setattr("assistants.catalog.mcp.list_tools", one)
    refreshed = asyncio.run(services.refresh_listing(server.pk))
    assert refreshed is not None
    assert [tool.name for tool in again(server).tools] == ["look"]
    assert asyncio.run(services.refresh_listing("mcp_none")) is None


def test_what_an_assistant_has_is_not_deleted(alice: User, project: Project) -> None:
    register_models(names=[("fake", "", None)])
    server = a_server(alice)
    entry = {"type": "mcp", "server_id": server.pk, "tools": None}
    create_assistant(principal=person(alice), model="fake", name="Guide", server_tools=[entry])
    with pytest.raises(ApiError, match="'tools' is used by Guide"):
        services.delete_server(principal=person(alice), server_id=server.pk)


def test_others_servers_do_not_exist(alice: User, charlie: User, project: Project) -> None:
    theirs = a_server(charlie)
    mine = principal_of_person(alice.pk)
    assert mine is not None
    for call in (
        lambda: services.update_server(principal=mine, server_id=theirs.pk, enabled=False),
        lambda: services.allow_tools(principal=mine, server_id=theirs.pk, allowed={}),
        lambda: services.delete_server(principal=mine, server_id=theirs.pk),
    ):
        with pytest.raises(ApiError) as refused:
            call()
        assert refused.value.status == 404
