"""A private assistant is there for who made it and for administrators; for everybody else it does not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from assistants.models import Assistant
from assistants.services import names_using
from runs.mcp.offers import offer_named, offers
from sovereign.accounts.credentials import SESSION_PROJECT, principal_of_key
from sovereign.accounts.models import Project, User
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES
from sovereign.accounts.services import add_member, create_api_key
from tests.assistants.calling import Caller, caller, caller_of, person, tiny

__all__ = ["caller", "person", "tiny"]

pytestmark = pytest.mark.django_db

Person = Callable[[str], Caller]


def test_members_and_keys_find_nothing_and_administrators_do(caller: Caller, person: Person) -> None:
    maker, colleague, viewer, admin = (person(role) for role in ("analyst", "analyst", "viewer", "admin"))
    made = maker.made(name="Mine", visibility="private")
    child = maker.post(f"{made['id']}/clone", name="Child").json()
    assert (child["visibility"], child["parent_id"]) == ("private", made["id"])
    for other in (colleague, viewer, caller):
        assert other.listed() == set()
        assert sum(row["assistants"] for row in other.get("types")["data"]) == 0
        for path in (made["id"], f"{made['id']}/lineage"):
            assert other.ask(path).status_code == 404
    for other in (colleague, caller):
        assert other.put(made["id"], {"name": "B"}).status_code == 404
        assert other.post(f"{made['id']}/clone").status_code == 404
        assert other.delete(made["id"]).status_code == 404
    for one in (maker, admin):
        assert one.listed() == {"Mine", "Child"}
        assert one.get(made["id"])["name"] == "Mine"


def test_v1_runs_and_mcp_do_not_know_it_either(caller: Caller, person: Person, project: Project) -> None:
    body = {"visibility": "private", "offered_over_mcp": True, "name": "Mine"}
    made = caller.made(**body)
    other = APIClient()
    other_key = create_api_key(project=project, name="other")[1]
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {other_key}", HTTP_OPENAI_BETA="assistants=v2")
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    run = {"assistant_id": made["id"], "thread": thread}
    answers = [
        other.get(f"/v1/assistants/{made['id']}"),
        other.post(f"/v1/assistants/{made['id']}", {"name": "B"}, format="json"),
        other.delete(f"/v1/assistants/{made['id']}"),
        other.post("/v1/threads/runs", run, format="json"),
        person("viewer").client.post("/v1/threads/runs", run, format="json"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert other.get("/v1/assistants").json()["data"] == []
    principal = principal_of_key(other_key)
    assert offers(principal) == []
    assert offer_named(principal, "mine") is None
    assert [offer.title for offer in offers(caller.principal)] == ["Mine"]
    assert caller.client.post("/v1/threads/runs", run, format="json").status_code == 200


def test_only_its_maker_and_administrators_say_who_sees_it(person: Person) -> None:
    maker, colleague, admin = (person(role) for role in ("analyst", "analyst", "admin"))
    made = maker.made()
    refused = colleague.put(made["id"], {"visibility": "private"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_permissions")
    assert colleague.put(made["id"], {"visibility": "project", "name": "B"}).status_code == 200
    assert admin.put(made["id"], {"visibility": "private"}).status_code == 200
    assert colleague.ask(made["id"]).status_code == 404
    assert maker.put(made["id"], {"visibility": "project"}).status_code == 200
    assert colleague.get(made["id"])["name"] == "B"


def test_an_administrators_key_sees_all(caller: Caller, project: Project) -> None:
    made = caller.made(visibility="private")
    secret = create_api_key(project=project, scopes=DEFAULT_KEY_SCOPES | {"assistants:promote"})[1]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert Caller(client, principal_of_key(secret)).get(made["id"])["id"] == made["id"]


def test_a_lineage_leaves_out_what_is_private(person: Person) -> None:
    maker, colleague = person("analyst"), person("analyst")
    root = maker.made(name="Root")
    hidden = maker.post(f"{root['id']}/clone", name="Hidden", visibility="private").json()
    leaf = maker.post(f"{hidden['id']}/clone", name="Leaf", visibility="project").json()
    seen = colleague.get(f"{leaf['id']}/lineage")
    assert (seen["ancestors"], seen["descendants"]) == ([], [])
    assert colleague.get(f"{root['id']}/lineage")["descendants"] == []
    assert [one["name"] for one in maker.get(f"{leaf['id']}/lineage")["ancestors"]] == ["Hidden", "Root"]


def test_what_uses_a_function_is_told_without_a_private_name(caller: Caller) -> None:
    for visibility in ("private", "project"):
        made = caller.made(name=f"The {visibility} one", visibility=visibility)
        Assistant.objects.filter(pk=made["id"]).update(functions=["func_1"])
    assert set(names_using(caller.principal.project_id, "func_1")) == {"a private assistant", "The project one"}


@pytest.fixture
def visit() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client(headers={"Accept": "text/html"})
        client.force_login(user)
        return client

    return make


def test_the_admin_and_the_chat_do_not_show_it(
    alice: User, bob: User, project: Project, person: Person, visit: Callable[[User], Client]
) -> None:
    mine = person("analyst").made(name="Only mine", visibility="private")
    page, listing = f"/admin/assistants/assistant/{mine['id']}/change/", "/admin/assistants/assistant/"
    for user, sees in ((bob, False), (alice, True)):  # an analyst, and the owner
        client = visit(user)
        assert ("Only mine" in client.get(listing).content.decode()) is sees
        assert (client.get(page).status_code == 200) is sees
        assert ("Only mine" in client.get("/chat/").content.decode()) is sees
        assert ("Only mine" in client.get(f"/chat/?assistant={mine['id']}").content.decode()) is sees
    everything: dict[str, Any] = {"name": "Taken"}
    visit(bob).post(page, everything)
    assert caller_of(alice).get(mine["id"])["name"] == "Only mine"


def test_a_link_into_another_project_does_not_tell_that_it_is_there(
    alice: User, bob: User, charlies_project: Project, person: Person, visit: Callable[[User], Client]
) -> None:
    """Who is a member of two projects is led into the one that an assistant belongs to, if they see it there."""
    add_member(project=charlies_project, user=bob, role="viewer")
    hidden = person("analyst").made(name="Only mine", visibility="private")
    shown = person("analyst").made(name="Ours")
    client = visit(bob)
    session = client.session
    session[SESSION_PROJECT] = charlies_project.pk
    session.save()
    assert client.get(f"/chat/?assistant={hidden['id']}").status_code != 302
    assert client.get(f"/chat/?assistant={shown['id']}").status_code == 302
