"""What a name means for a project: what it may use, what a provider's prefix leads to, and what a model is for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from inference import gateway, services
from inference.models import Engine, RegisteredModel
from inference.resolution import LOCAL, Registry, Target, default_model, resolve
from sovereign.accounts.models import Project
from sovereign.core.errors import ApiError
from tests.inference.helpers import configured, provider_engine, ready_engine, supervised_engine

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1:9/v1"


@pytest.fixture
def theirs(charlie: Any) -> str:
    return Project.objects.get(name="Charlie's").pk


@pytest.fixture
def hers(project: Project) -> Engine:
    """A provider that Alice's project alone may use."""
    return ready_engine(URL, "secret", name="hers", provider={"all_projects": False, "projects": [project]})


def refusal(name: str, project_id: str | None, ability: Any = "chat") -> tuple[int, str | None]:
    with pytest.raises(ApiError) as caught:
        gateway.check_model(name, project_id=project_id, ability=ability)
    return caught.value.status, caught.value.code


def alias(name: str, model: str) -> None:
    services.add_alias(alias=name, model=RegisteredModel.objects.get(name=model))


# ----------------------------------------------------------------------------------------- rights


def test_what_a_project_may_not_use_does_not_exist_for_it(hers: Engine, project: Project, theirs: str) -> None:
    alias("house", "secret")
    for name in ("secret", "house"):
        assert resolve(name, project.pk) == Target("secret")
        assert resolve(name, None) == Target("secret")
        assert refusal(name, theirs) == (404, "model_not_found")


def test_the_refusal_is_that_of_an_unknown_model(hers: Engine, theirs: str) -> None:
    told = []
    for name in ("secret", "nobody"):
        with pytest.raises(ApiError) as caught:
            gateway.check_model(name, project_id=theirs)
        told.append(caught.value.message.replace(name, "…"))
    assert told[0] == told[1]


def test_an_alias_of_what_is_not_ours_leads_on(hers: Engine, project: Project, theirs: str) -> None:
    supervised_engine("alpha", state="ready", base_url=URL)
    alias("gpt-4o", "secret")
    assert resolve("gpt-4o", project.pk) == Target("secret")
    assert resolve("gpt-4o", theirs) == Target("alpha")


def test_a_default_that_is_not_ours_is_passed_over(hers: Engine, project: Project, theirs: str) -> None:
    services.set_default_model(model=RegisteredModel.objects.get(name="secret"))
    assert resolve("gpt-4o", theirs) is None
    supervised_engine("alpha", state="ready", base_url=URL)
    assert default_model(project.pk) == "secret"
    assert default_model(theirs) == "alpha"


def test_a_model_that_two_have_is_for_those_who_may_use_one(hers: Engine, theirs: str) -> None:
    ready_engine("http://127.0.0.1:8/v1", "secret", name="everybodys")
    assert resolve("secret", theirs) == Target("secret")


def test_a_provider_that_is_not_enabled_is_nobodys(hers: Engine, project: Project) -> None:
    services.set_enabled(provider=hers.provider, enabled=False)
    assert refusal("secret", project.pk) == (404, "model_not_found")


def test_a_local_model_that_is_away_stays_known(theirs: str) -> None:
    services.register_models(names=[("alpha", "/models/alpha", None)])
    assert resolve("alpha", theirs) == Target("alpha")


def test_the_list_of_models_has_no_others(hers: Engine, project: Project, theirs: str) -> None:
    supervised_engine("alpha", state="ready", base_url=URL)
    alias("house", "secret")
    alias("mine", "alpha")
    ours = {entry.id: entry for entry in gateway.models(project.pk)}
    assert {"alpha", "secret", "house", "mine"} <= ours.keys()
    assert {"secret", "house"}.isdisjoint(entry.id for entry in gateway.models(theirs))
    assert (ours["house"].provider, ours["house"].kind, ours["house"].model) == ("hers", "openai_compatible", "secret")
    assert (ours["mine"].owned_by, ours["mine"].kind, ours["mine"].ready) == ("sovereign", "vllm", True)
    assert ours["alpha"].capabilities.context_length == 512


def names_of(project_id: str) -> set[str]:
    return {entry.id for entry in gateway.models(project_id)}


def test_a_name_learned_from_what_is_not_ours_stays_unknown_when_nobody_serves_it(
    hers: Engine, project: Project, theirs: str
) -> None:
    alias("house", "secret")
    Engine.objects.filter(pk=hers.pk).update(served=[])
    assert {"secret", "house"} <= names_of(project.pk)
    assert {"secret", "house"}.isdisjoint(names_of(theirs))
    assert refusal("secret", theirs) == (404, "model_not_found")
    assert resolve("secret", project.pk) == Target("secret")


def test_a_name_outlives_its_provider_for_those_alone_who_knew_it(hers: Engine, project: Project, theirs: str) -> None:
    everybodys = ready_engine("http://127.0.0.1:8/v1", "public", name="everybodys")
    for engine in (hers, everybodys):
        services.delete_provider(provider=engine.provider)
    assert resolve("public", theirs) == Target("public")
    assert {"secret"}.isdisjoint(names_of(theirs) | names_of(project.pk)), "for whom it was is not known any more"
    assert resolve("secret") == Target("secret")


def test_a_name_is_everybodys_once_somebody_serves_it_for_everybody(hers: Engine, theirs: str) -> None:
    everybodys = ready_engine("http://127.0.0.1:8/v1", "secret", name="everybodys")
    services.record_probe(engine=hers, served=hers.served, capabilities={}, token=True)
    Engine.objects.filter(pk__in=[hers.pk, everybodys.pk]).update(served=[])
    assert resolve("secret", theirs) == Target("secret")


def test_a_name_that_two_tell_to_few_is_no_secret_of_one_that_is_gone(
    hers: Engine, project: Project, charlies_project: Project
) -> None:
    described = {"all_projects": False, "projects": [charlies_project]}
    other = ready_engine("http://127.0.0.1:8/v1", "secret", name="his", provider=described)
    services.delete_provider(provider=hers.provider)
    services.record_probe(engine=other, served=other.served, capabilities={}, token=True)
    Engine.objects.filter(pk=other.pk).update(served=[])
    assert resolve("secret", charlies_project.pk) == Target("secret")
    assert refusal("secret", project.pk) == (404, "model_not_found")


def test_the_configured_model_is_told_to_nobody_who_may_not_use_it(hers: Engine, project: Project, theirs: str) -> None:
    with configured(model_name="secret"):
        assert default_model(project.pk) == "secret"
        assert default_model(theirs) is None
        assert "secret" not in gateway.availability("gpt-4o", project_id=theirs).reason
        supervised_engine("alpha", state="ready", base_url=URL)
        assert resolve("gpt-4o", theirs) == Target("alpha")


# ----------------------------------------------------------------------------------------- prefixes


@pytest.fixture
def openai(project: Project) -> Engine:
    """OpenAI, for Alice's project alone; it has not listed its models."""
    return provider_engine(
        "https://api.openai.com/v1",
        name="their-openai",
        kind="openai",
        key="sk-1",
        all_projects=False,
        projects=[project],
    )


@pytest.mark.parametrize("name", ["gpt-4o", "o1", "o3-mini", "chatgpt-4o-latest", "ft:gpt-4o:me"])
def test_a_prefix_leads_to_the_provider_of_its_kind(openai: Engine, project: Project, theirs: str, name: str) -> None:
    services.register_models(names=[("alpha", "", None)])
    assert resolve(name, project.pk) == Target(name, "openai")
    assert resolve(name, theirs) == Target("alpha")
    assert Registry(project.pk).serving(Target(name, "openai")) == [openai]


def test_claude_leads_to_anthropic(project: Project, theirs: str) -> None:
    provider_engine("https://api.anthropic.com", name="their-anthropic", kind="anthropic", key="k", projects=[project],
                    all_projects=False)  # fmt: skip
    assert resolve("claude-sonnet-4", project.pk) == Target("claude-sonnet-4", "anthropic")
    assert refusal("claude-sonnet-4", theirs) == (404, "model_not_found")


def test_an_alias_goes_before_a_prefix(openai: Engine, project: Project) -> None:
    services.register_models(names=[("alpha", "", None)])
    alias("gpt-4o", "alpha")
    assert resolve("gpt-4o", project.pk) == Target("alpha")


@pytest.mark.parametrize("name", ["gpt-\x00", "gpt-\n", "gpt-" + "x" * 300])
def test_what_is_no_name_leads_nowhere(openai: Engine, project: Project, name: str) -> None:
    services.register_models(names=[("alpha", "", None)])
    assert resolve(name, project.pk) == Target("alpha")


# ----------------------------------------------------------------------------------------- abilities


def test_what_an_engine_says_of_a_model_decides() -> None:
    engine = ready_engine(URL, "alpha", "words")
    served = [{"id": "alpha", "context_length": 512}, {"id": "words", "abilities": {"chat": False, "embeddings": True}}]
    Engine.objects.filter(pk=engine.pk).update(served=served)
    assert resolve("words", ability="embeddings") == Target("words")
    assert refusal("words", None) == (400, "unsupported_model")
    assert refusal("alpha", None, "embeddings") == (400, "unsupported_model")
    assert resolve("alpha", ability="completions") == Target("alpha")
    assert default_model() == "alpha"


def test_names_of_openais_embedders_mean_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    without_embedder(monkeypatch)
    assert refusal("text-embedding-3-small", None, "embeddings") == (404, "model_not_found")
    ready_engine(URL, "alpha", "nomic-embed-text")
    assert resolve("text-embedding-3-small", ability="embeddings") == Target("nomic-embed-text")
    assert refusal("gpt-4o", None, "embeddings") == (404, "model_not_found")
    assert refusal("text-embedding-3-small", None) == (400, "unsupported_model")


def without_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.resolution.local_embedder", lambda: None)


class Embedder:
    name = "small-embedder"
    context_length = 256
    made_at = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_embedder_of_this_process_is_a_model(monkeypatch: pytest.MonkeyPatch, theirs: str) -> None:
    monkeypatch.setattr("inference.resolution.local_embedder", Embedder)
    ready_engine(URL, "nomic-embed-text")
    for name in ("small-embedder", "text-embedding-3-small", "text-embedding-ada-002"):
        assert resolve(name, theirs, "embeddings") == Target("small-embedder", LOCAL)
    assert resolve("nomic-embed-text", theirs, "embeddings") == Target("nomic-embed-text")
    assert refusal("small-embedder", theirs) == (400, "unsupported_model")
    (entry,) = [entry for entry in gateway.models(theirs) if entry.id == "small-embedder"]
    assert (entry.ready, entry.capabilities.embeddings, entry.capabilities.chat) == (True, True, False)
    assert (entry.owned_by, entry.kind, entry.capabilities.context_length) == ("sovereign", "local", 256)
    assert entry.created == int(Embedder.made_at.timestamp())


def test_moderations_need_a_model_for_them() -> None:
    engine = ready_engine(URL, "alpha", "guard")
    with pytest.raises(ApiError, match="no model here is for moderations") as caught:
        gateway.check_model("omni-moderation-latest", ability="moderations")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    served = [{"id": "alpha"}, {"id": "guard", "abilities": {"chat": False, "moderations": True}}]
    Engine.objects.filter(pk=engine.pk).update(served=served)
    assert resolve("omni-moderation-latest", ability="moderations") == Target("guard")
    assert refusal("alpha", None, "moderations") == (400, "unsupported_model")
