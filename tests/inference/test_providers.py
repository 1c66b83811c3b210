"""Providers: rows of administrators and of the environment, who may use them, and where their keys go."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from inference import services
from inference.chat import EngineUnavailable
from inference.endpoints import endpoint_of
from inference.engines.status import destination, destinations
from inference.models import Engine, ModelFallback, Provider, RegisteredModel
from inference.resolution import Target, resolve
from inference.secrets import seal, unseal
from inference.services.environment import check_addresses, ollama_address
from sovereign.accounts.models import AuditEvent, Project
from sovereign.core.database import now
from sovereign.core.errors import ApiError
from tests.inference.helpers import age, configured, provider_engine, ready_engine

pytestmark = pytest.mark.django_db

NOTHING: dict[str, Any] = {"engine_url": "", "ollama_host": "", "openai_api_key": "", "anthropic_api_key": ""}
URL = "https://api.example.org/v1"


def synchronised(**changes: Any) -> dict[str, Provider]:
    """As a process begins a minute after all others ended."""
    Provider.objects.update(wanted_until=now() - timedelta(seconds=1))
    with configured(**{**NOTHING, **changes}):
        services.synchronise_environment()
    return {provider.name: provider for provider in Provider.objects.all()}


def test_variables_make_providers_for_every_project() -> None:
    found = synchronised(
        engine_url="http://gpu:8000/v1",
        engine_api_key="k-1",
        ollama_host="0.0.0.0:11434",
        openai_api_key="sk-openai-secret",
        anthropic_api_key="sk-ant-secret",
    )
    described = {name: (row.kind, row.base_url, row.key_variable, row.inner_network) for name, row in found.items()}
    assert described == {
        "external": ("openai_compatible", "http://gpu:8000/v1", "SOVEREIGN_ENGINE_API_KEY", True),
        "ollama": ("ollama", "http://127.0.0.1:11434", "", True),
        "openai": ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", False),
        "anthropic": ("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", False),
    }
    for row in found.values():
        assert (row.source, row.enabled, row.all_projects, row.sealed_key) == ("environment", True, True, "")
        assert (row.engine.kind, row.engine.base_url, row.engine.sealed_key) == (row.kind, row.base_url, "")


def test_keys_of_the_environment_are_read_when_they_are_used() -> None:
    synchronised(openai_api_key="sk-openai-secret")
    engine = Engine.objects.get()
    with configured(openai_api_key="sk-openai-secret"):
        assert endpoint_of(engine, "gpt-4o").key == "sk-openai-secret"
    with configured(openai_api_key="sk-rotated"):
        assert endpoint_of(engine, "gpt-4o").key == "sk-rotated"
    with configured(openai_api_key=""), pytest.raises(EngineUnavailable, match="openai has no key") as caught:
        endpoint_of(engine, "gpt-4o")
    assert caught.value.detail == "The environment variable OPENAI_API_KEY is not set in this process."
    assert "OPENAI" not in caught.value.message, "clients read that one"


@pytest.fixture
def mistrals(settings: Any) -> None:
    """The environment says where Mistral's key goes."""
    hosts = {"MISTRAL_API_KEY": frozenset({"api.example.org"})}
    settings.SOVEREIGN = replace(settings.SOVEREIGN, key_hosts=hosts)


@pytest.mark.usefixtures("mistrals")
def test_a_variable_of_an_administrators_choice_or_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = provider_engine(URL, key_variable="MISTRAL_API_KEY", inner_network=False)
    with pytest.raises(EngineUnavailable):
        endpoint_of(engine, "m")
    monkeypatch.setenv("MISTRAL_API_KEY", "from-the-variable")
    assert endpoint_of(engine, "m").key == "from-the-variable"
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("MISTRAL_API_KEY_FILE", str(tmp_path / "key"))
    assert endpoint_of(engine, "m").key == "from-a-file"
    monkeypatch.setenv("MISTRAL_API_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(EngineUnavailable):
        endpoint_of(engine, "m")


@pytest.mark.usefixtures("mistrals")
@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("OPENAI_API_KEY", "https://evil.example/v1"),
        ("OPENAI_API_KEY", "https://evilapi.openai.com.example/v1"),
        ("OPENAI_API_KEY", "https://notapi.openai.com/v1"),
        ("OPENAI_API_KEY", "http://api.openai.com/v1"),
        ("ANTHROPIC_API_KEY", "https://api.openai.com/v1"),
        ("MISTRAL_API_KEY", "https://evil.example/v1"),
        ("GROQ_API_KEY", "https://api.example.org/v1"),
    ],
)
def test_keys_of_the_environment_go_where_the_environment_says(
    variable: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "k-of-the-house")
    with pytest.raises(ApiError, match="may not be sent to") as caught:
        provider_engine(url, key_variable=variable)
    assert caught.value.param == "key_variable"
    engine = provider_engine(url)
    Provider.objects.update(key_variable=variable)  # a row of earlier, or written by hand
    engine = Engine.objects.select_related("provider").get(pk=engine.pk)
    with configured(openai_api_key="sk-1", anthropic_api_key="sk-2"), pytest.raises(EngineUnavailable) as unsent:
        endpoint_of(engine, "m")
    assert unsent.value.detail == f"The environment variable {variable} is not for this address."


def test_the_key_of_the_external_engine_goes_to_no_other() -> None:
    synchronised(engine_url="http://gpu:8000/v1", engine_api_key="k-1")
    engine = Engine.objects.select_related("provider").get()
    with configured(engine_url="http://gpu:8000/v1", engine_api_key="k-1"):
        assert endpoint_of(engine, "m").key == "k-1"
    with configured(engine_url="http://other:8000/v1", engine_api_key="k-2"), pytest.raises(EngineUnavailable):
        endpoint_of(engine, "m")


def test_regional_hosts_of_openai_have_its_key() -> None:
    engine = provider_engine("https://eu.api.openai.com/v1", kind="openai", key_variable="OPENAI_API_KEY")
    with configured(openai_api_key="sk-1"):
        assert endpoint_of(engine, "m").key == "sk-1"


def test_providers_of_the_environment_come_and_go() -> None:
    ours = provider_engine(URL, name="mine").provider
    assert synchronised(openai_api_key="sk-1").keys() == {"mine", "openai"}
    again = synchronised(openai_api_key="sk-1", anthropic_api_key="sk-2")
    assert again.keys() == {"mine", "openai", "anthropic"}
    assert synchronised().keys() == {"mine"}
    assert Engine.objects.get().provider == ours


def kept(**changes: Any) -> set[str]:
    """A process with these variables says what it wants; the names of what there is then."""
    with configured(**{**NOTHING, **changes}):
        services.keep_environment()
    return set(Provider.objects.filter(enabled=True).values_list("name", flat=True))


def test_a_process_without_a_variable_says_nothing_about_the_others() -> None:
    engine = synchronised(openai_api_key="sk-1")["openai"].engine
    services.record_probe(engine=engine, served=[{"id": "gpt-5", "context_length": None}], capabilities={}, token=True)
    with configured(**NOTHING):
        services.synchronise_environment()
    assert (Engine.objects.get().state, resolve("gpt-5")) == ("ready", Target("gpt-5"))
    assert kept() == {"openai"}
    Provider.objects.update(wanted_until=now() + timedelta(seconds=30))
    assert kept(openai_api_key="sk-1") == {"openai"}
    assert Provider.objects.get().wanted_until > now() + timedelta(seconds=50), "renewed"
    Provider.objects.update(wanted_until=now() - timedelta(seconds=1))
    assert kept(openai_api_key="sk-1") == kept() == {"openai"}, "late, and not given up yet"
    Provider.objects.update(wanted_until=now() - timedelta(seconds=1))
    assert kept() == set()
    assert kept(openai_api_key="sk-1") == {"openai"}, "who still wants it brings it back"


def test_who_goes_on_does_not_undo_what_a_later_start_decided() -> None:
    synchronised(engine_url="http://old/v1")
    with configured(**{**NOTHING, "engine_url": "http://new/v1"}):
        services.synchronise_environment()
    assert kept(engine_url="http://old/v1") == {"external"}
    assert Provider.objects.get().base_url == "http://new/v1"


def test_what_is_kept_for_its_prices_is_let_go_once() -> None:
    row = synchronised(openai_api_key="sk-1")["openai"]
    services.set_price(model="gpt-4o", provider=row, valid_from=date(2026, 11, 1), prompt=1, completion=1)
    assert not synchronised()["openai"].enabled
    since = Engine.objects.get().since
    assert kept() == set()
    assert Engine.objects.get().since == since
    assert kept(openai_api_key="sk-1") == {"openai"}


def test_the_same_variables_again_keep_what_is_known() -> None:
    synchronised(engine_url=URL, engine_api_key="k-1")
    engine = Engine.objects.get()
    services.record_probe(engine=engine, served=[{"id": "alpha", "context_length": 1}], capabilities={}, token=True)
    synchronised(engine_url=URL, engine_api_key="k-2")
    assert Engine.objects.get().state == "ready", "another key is used from the next call on"
    synchronised(engine_url="http://other/v1", engine_api_key="k-2")
    moved = Engine.objects.get()
    assert (moved.pk, moved.state, moved.served, moved.base_url) == (engine.pk, "loading", [], "http://other/v1")


def test_what_somebody_changed_by_hand_is_put_right() -> None:
    synchronised(openai_api_key="sk-1")
    Provider.objects.update(enabled=False, base_url="https://evil.example/v1")
    row = synchronised(openai_api_key="sk-1")["openai"]
    assert (row.enabled, row.base_url) == (True, "https://api.openai.com/v1")
    Engine.objects.all().delete()
    synchronised(openai_api_key="sk-1")
    assert Engine.objects.count() == 1


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("gpu", "http://gpu:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::]:9", "http://[::1]:9"),
        (":9", "http://127.0.0.1:9"),
        ("https://ollama.example", "https://ollama.example"),
    ],
)
def test_the_ways_to_write_ollama_host(host: str, address: str) -> None:
    assert ollama_address(host) == address


@pytest.mark.parametrize("variables", [{"engine_url": "ftp://x/v1"}, {"ollama_host": "gpu:port"}, {"engine_url": "x"}])
def test_variables_that_hold_no_address_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ApiError):
        synchronised(**variables)
    assert not Provider.objects.exists()


def test_prices_outlive_a_start_without_the_variable() -> None:
    row = synchronised(openai_api_key="sk-1")["openai"]
    services.set_price(model="gpt-4o", provider=row, valid_from=date(2026, 11, 1), prompt=2_500, completion=10_000)
    gone = synchronised()["openai"]
    assert (gone.enabled, gone.prices.count(), list(Engine.objects.of_providers())) == (False, 1, [])
    back = synchronised(openai_api_key="sk-1")["openai"]
    assert (back.pk, back.enabled, back.prices.count()) == (row.pk, True, 1)
    with pytest.raises(ApiError, match="environment variables"):
        services.delete_provider(provider=back)
    services.delete_provider(provider=synchronised()["openai"])
    assert not Provider.objects.exists()


def test_an_address_that_is_none_is_said_before_the_start() -> None:
    with configured(**{**NOTHING, "engine_url": "gpu:8000/v1"}):
        [error] = check_addresses()
    assert (error.id, "SOVEREIGN_ENGINE_URL" in error.msg) == ("sovereign.E009", True)
    with configured(**NOTHING):
        assert list(check_addresses()) == []


def test_the_catalogue_of_a_hosted_provider_is_forgotten_with_it() -> None:
    """Else a gpt-4o of an old client would wait for OpenAI for ever, and not mean the default model."""
    synchronised(openai_api_key="sk-1")
    engine = Engine.objects.get()
    names = ["gpt-4o", "gpt-4o-mini", "o3", "shared"]
    served = [{"id": name, "context_length": None} for name in names]
    services.record_probe(engine=engine, served=served, capabilities={}, token=False)
    ready_engine("http://127.0.0.1:9/v1", "shared", "ours")
    model = {row.name: row for row in RegisteredModel.objects.all()}
    services.add_alias(alias="house", model=model["gpt-4o-mini"])
    services.set_fallbacks(model=model["ours"], fallbacks=[model["o3"]])
    synchronised()
    assert set(RegisteredModel.objects.values_list("name", flat=True)) == {"gpt-4o-mini", "o3", "shared", "ours"}
    services.delete_provider(provider=Provider.objects.get(name="upstream"))
    assert RegisteredModel.objects.filter(name="ours").exists(), "a server of the house may come back"


def listed(engine: Engine, *names: str) -> set[str]:
    """The engine lists these and no others; the names that are known then."""
    served = [{"id": name, "context_length": None} for name in names]
    services.record_probe(engine=engine, served=served, capabilities={}, token=False, works=True)
    return set(RegisteredModel.objects.values_list("name", flat=True))


def test_what_a_hosted_provider_lists_no_more_is_forgotten() -> None:
    """Else the name would wait for an engine for ever, while one that was never listed is asked for."""
    synchronised(openai_api_key="sk-1")
    engine = Engine.objects.get()
    ours = ready_engine("http://127.0.0.1:9/v1", "shared", "ours")
    assert listed(engine, "gpt-4o", "gpt-4-0314", "o3", "shared") >= {"gpt-4-0314"}
    services.add_alias(alias="house", model=RegisteredModel.objects.get(name="o3"))
    assert listed(engine, "gpt-4o") == {"gpt-4o", "o3", "shared", "ours"}
    assert resolve("gpt-4-0314") == Target("gpt-4-0314", "openai")
    assert listed(ours, "other") == {"gpt-4o", "o3", "shared", "ours", "other"}, "a server of the house may come back"


def test_names_of_one_provider_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.registry, "MAXIMUM_LEARNED", 4)
    engine = provider_engine("http://127.0.0.1:9/v1")
    listed(engine, "first", "second")
    services.add_alias(alias="house", model=RegisteredModel.objects.get(name="first"))
    assert listed(engine, "third", "fourth") == {"first", "second", "third", "fourth"}
    other = ready_engine("http://127.0.0.1:8/v1", "elsewhere", name="other")
    assert listed(engine, "fourth", "fifth") == {"first", "third", "fourth", "fifth", "elsewhere"}
    assert listed(other, "elsewhere", "more") >= {"first", "third", "elsewhere", "more"}, "each has its own"


def test_a_provider_of_the_environment_is_changed_there() -> None:
    row = synchronised(openai_api_key="sk-1")["openai"]
    for change in (
        lambda: services.update_provider(provider=row, enabled=False),
        lambda: services.set_enabled(provider=row, enabled=False),
        lambda: services.delete_provider(provider=row),
    ):
        with pytest.raises(ApiError, match="environment variables"):
            change()


def test_who_may_use_a_provider(project: Project) -> None:
    provider = provider_engine(URL, all_projects=False).provider
    assert provider is not None
    assert not Engine.objects.usable_by(project.pk).exists()
    services.update_provider(provider=provider, projects=[project])
    assert Engine.objects.usable_by(project.pk).exists()
    assert not Engine.objects.usable_by("proj_other").exists()
    services.set_enabled(provider=provider, enabled=False)
    assert not Engine.objects.usable_by(project.pk).exists()


def test_an_endpoint_is_what_the_row_says() -> None:
    engine = ready_engine(
        URL, "alpha", key="k", capabilities={"json_schema": True},
        provider={"inner_network": False, "first_token_seconds": 7, "idle_seconds": 8, "total_seconds": 9},
    )  # fmt: skip
    found = endpoint_of(engine, "alpha")
    assert (found.base_url, found.key, found.kind, found.inner_network) == (URL, "k", "openai_compatible", False)
    assert (found.patience.first_token, found.patience.idle, found.patience.total) == (7, 8, 9)
    assert (found.capabilities.json_schema, found.capabilities.context_length) == (True, 512)
    assert "'k'" not in repr(found)


def test_options_of_ollama() -> None:
    engine = provider_engine("http://gpu:11434", kind="ollama", options={"keep_alive": "5m", "num_ctx": 8192})
    assert endpoint_of(engine, "m").options == {"keep_alive": "5m", "num_ctx": 8192}
    for options in ({"num_ctx": 0}, {"num_ctx": True}, {"program": "x"}, {"keep_alive": []}):
        with pytest.raises(ApiError):
            services.update_provider(provider=engine.provider, options=options)


def test_options_of_anthropic() -> None:
    given = {"bearer": True, "version": "2023-06-01", "beta": "context-1m", "max_tokens": 100}
    engine = provider_engine("http://gpu:8000", kind="anthropic", options=given)
    assert endpoint_of(engine, "m").options == given
    for options in ({"bearer": 1}, {"bearer": "yes"}, {"version": 2023}, {"version": ""}, {"max_tokens": True}):
        with pytest.raises(ApiError):
            services.update_provider(provider=engine.provider, options=options)


def test_a_provider_that_is_disabled_has_to_prove_itself_when_it_comes_back() -> None:
    engine = ready_engine(URL, "alpha", key="k")
    services.set_enabled(provider=engine.provider, enabled=False)
    services.set_enabled(provider=engine.provider, enabled=True)
    engine.refresh_from_db()
    assert (engine.state, [entry["id"] for entry in engine.served]) == ("loading", ["alpha"])


def test_names_are_unique() -> None:
    provider_engine(URL, name="mine")
    with pytest.raises(ApiError, match="already"):
        services.create_provider(name="mine", kind="openai_compatible", base_url=URL)
    assert Engine.objects.count() == 1


def test_where_words_may_go() -> None:
    assert destinations() == []
    inside = provider_engine("http://10.0.0.5:1/v1", name="gpu").provider
    outside = provider_engine(URL, name="example", all_projects=False, inner_network=False).provider
    assert inside is not None
    assert outside is not None
    assert destination(inside) == "gpu (10.0.0.5, in this network, every project)"
    assert destination(outside) == "example (api.example.org, chosen projects)"
    services.set_enabled(provider=inside, enabled=False)
    assert destinations() == [destination(outside)]


def test_a_key_is_sealed_and_opens_under_the_same_secret_only(settings: Any) -> None:
    provider = provider_engine(URL, key="sk-very-secret").provider
    assert provider is not None
    assert "very-secret" not in provider.sealed_key
    assert provider.key() == "sk-very-secret"
    assert "very-secret" not in str([event.details for event in AuditEvent.objects.all()])
    sealed = seal("x")
    settings.SECRET_KEY = "another" * 10
    assert unseal(sealed) == ""
    assert unseal("nonsense") == ""


def test_circles_of_fallbacks_are_refused_however_long() -> None:
    names = ["a", "b", "c", "d"]
    services.register_models(names=[(name, "", None) for name in names])
    a, b, c, d = RegisteredModel.objects.order_by("name")
    services.set_fallbacks(model=a, fallbacks=[b])
    services.set_fallbacks(model=b, fallbacks=[c])
    services.set_fallbacks(model=c, fallbacks=[d])
    for model in (b, c, d):
        with pytest.raises(ApiError, match="lead back"):
            services.set_fallbacks(model=model, fallbacks=[a])
    with pytest.raises(ApiError, match="twice"):
        services.set_fallbacks(model=a, fallbacks=[b, b])
    services.set_fallbacks(model=a, fallbacks=[c, d, b])
    assert list(ModelFallback.objects.filter(model=a).values_list("fallback__name", flat=True)) == ["c", "d", "b"]
    services.set_fallbacks(model=a, fallbacks=[])
    services.set_fallbacks(model=d, fallbacks=[a])


def test_the_database_refuses_a_model_as_its_own_fallback() -> None:
    services.register_models(names=[("a", "", None)])
    model = RegisteredModel.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelFallback.objects.create(model=model, fallback=model, position=1)


def test_what_a_probe_does_not_say_is_not_known_any_more() -> None:
    engine = ready_engine(URL, "alpha")
    load = {"running": 2, "waiting": 1, "cache_usage": 0.5, "latency_ms": 7}
    services.record_probe(engine=engine, served=engine.served, capabilities={}, token=False, load=load)
    engine.refresh_from_db()
    assert (engine.running, engine.waiting, engine.cache_usage, engine.latency_ms) == (2, 1, 0.5, 7)
    services.record_probe(engine=engine, served=engine.served, capabilities={}, token=False)
    engine.refresh_from_db()
    assert (engine.running, engine.latency_ms) == (None, None)


def test_a_provider_that_is_not_asked_for_tokens_is_ready_by_its_list() -> None:
    engine = provider_engine(URL)
    services.mark_down(engine_id=engine.pk, reason="gone")
    age(engine, since=60)
    services.record_probe(engine=engine, served=[], capabilities={}, token=False, works=True)
    engine.refresh_from_db()
    assert (engine.state, engine.failures, engine.last_token_at) == ("ready", 0, None)
