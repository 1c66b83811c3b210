"""``/v1/models``: names that may be asked for, under every path that clients know."""

from __future__ import annotations

import pytest

from inference import services
from inference.embedder import OWN_NAME
from inference.models import Engine, RegisteredModel
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.scopes import ALL_SCOPES
from tests.inference.asking import Asker
from tests.inference.conftest import Upstream, in_database
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def asker(upstream: Upstream, api_key: str) -> Asker:
    await in_database(ready_engine, upstream.url, "tiny", "Qwen/Qwen3-8B")
    return Asker(api_key)


def alias() -> None:
    services.add_alias(alias="house", model=RegisteredModel.objects.get(name="tiny"))


async def test_models_and_aliases_are_listed_as_the_original_does(asker: Asker) -> None:
    await in_database(alias)
    for path in ("/v1/models", "/api/v1/models"):
        body = (await asker.get(path)).body
        assert body["object"] == "list"
        assert {entry["id"] for entry in body["data"]} == {"tiny", "Qwen/Qwen3-8B", "house", OWN_NAME}
        for entry in body["data"]:
            assert list(entry) == ["id", "object", "created", "owned_by"]
            assert (entry["object"], type(entry["created"])) == ("model", int)


@pytest.mark.parametrize("name", ["tiny", "Qwen/Qwen3-8B", "house", "gpt-4o"])
async def test_one_is_found_by_every_name_it_answers_to(asker: Asker, name: str) -> None:
    await in_database(alias)
    body = (await asker.get(f"/v1/models/{name}")).body
    assert (body["id"], body["object"]) == (name, "model")


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "x" * 500])
async def test_an_unknown_one_is_a_404(asker: Asker, name: str) -> None:
    got = await asker.get(f"/v1/models/{name}")
    assert (got.status, got.error["code"]) == (404, "model_not_found")


async def test_the_models_of_a_provider_by_its_name_or_kind(asker: Asker) -> None:
    [entry, *_] = (await asker.get("/v1/models")).body["data"]
    for provider in (entry["owned_by"], "openai_compatible"):
        body = (await asker.get(f"/api/v1/models/{provider}")).body
        assert {one["id"] for one in body["data"]} == {"tiny", "Qwen/Qwen3-8B"}
    got = await asker.get("/api/v1/models/anthropic")
    assert (got.status, got.error["param"]) == (404, "provider")


async def test_forgetting_a_model_needs_a_scope_that_no_default_has(asker: Asker, project: Project) -> None:
    got = await asker.ask("DELETE", "/v1/models/tiny")
    assert (got.status, got.error["code"]) == (403, "insufficient_permissions")
    assert "models:write" in got.error["message"]


async def test_a_model_that_nobody_serves_is_forgotten(asker: Asker, project: Project) -> None:
    def make() -> str:
        return accounts.create_api_key(project=project, name="house", scopes=sorted(ALL_SCOPES))[1]

    keeper = Asker(await in_database(make))
    served = await keeper.ask("DELETE", "/v1/models/Qwen/Qwen3-8B")
    assert (served.status, served.error["code"]) == (400, "model_in_use")
    await in_database(Engine.objects.all().delete)
    gone = await keeper.ask("DELETE", "/v1/models/Qwen/Qwen3-8B")
    assert gone.body == {"id": "Qwen/Qwen3-8B", "object": "model", "deleted": True}
    assert (await keeper.ask("DELETE", "/v1/models/Qwen/Qwen3-8B")).status == 404
    events = await in_database(lambda: list(AuditEvent.objects.values_list("action", flat=True)))
    assert "model.deleted" in events
