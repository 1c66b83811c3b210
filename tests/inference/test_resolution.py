"""From the name that a request gives to the model that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference import gateway, services
from inference.models import Engine, ModelAlias, RegisteredModel
from inference.naming import STARTER_WEIGHTS, is_openai_name, served_name
from inference.resolution import Target, resolve
from inference.starter import persona
from sovereign.core.errors import ApiError
from tests.inference.helpers import configured, provider_engine

pytestmark = pytest.mark.django_db


def register(*names: str) -> list[RegisteredModel]:
    services.register_models(names=[(name, "", None) for name in names])
    return [RegisteredModel.objects.get(name=name) for name in names]


def test_a_registered_model_is_itself() -> None:
    register("alpha", "beta")
    assert resolve("beta") == Target("beta")


def test_an_alias_leads_to_its_model() -> None:
    alpha, _ = register("alpha", "beta")
    services.add_alias(alias="house", model=alpha)
    services.add_alias(alias="other", model=alpha)
    assert resolve("house") == Target("alpha")


def test_an_alias_wins_over_a_model_of_the_same_name() -> None:
    alpha, beta = register("alpha", "gpt-4o")
    services.add_alias(alias="gpt-4o", model=alpha)
    services.add_alias(alias="something", model=beta)
    assert resolve("gpt-4o") == Target("alpha")
    assert resolve("alpha") == Target("alpha")


def test_an_alias_is_unique() -> None:
    alpha, beta = register("alpha", "beta")
    services.add_alias(alias="house", model=alpha)
    with pytest.raises(ApiError, match="already an alias"):
        services.add_alias(alias="house", model=beta)
    assert ModelAlias.objects.count() == 1


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-3.5-turbo", "o1", "o3-mini", "chatgpt-4o-latest", "text-davinci-003"])
def test_names_of_openai_models_mean_the_default(name: str) -> None:
    register("alpha")
    assert is_openai_name(name)
    assert resolve(name) == Target("alpha")


@pytest.mark.parametrize("name", ["o", "omega", "llama-3", "mygpt-4", "", "x" * 300, "a\x00b"])
def test_any_other_unknown_name_is_refused(name: str) -> None:
    register("alpha")
    with pytest.raises(ApiError) as caught:
        gateway.check_model(name)
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


def test_until_anything_is_known_the_names_of_openai_models_pass() -> None:
    gateway.check_model("gpt-4o")
    assert gateway.default_model() is None
    with pytest.raises(ApiError):
        gateway.check_model("alpha")


def test_the_default_is_the_first_that_is_served() -> None:
    register("old", "alpha")
    engine = provider_engine("http://127.0.0.1:9/v1")
    assert gateway.default_model() == "old"
    Engine.objects.filter(pk=engine.pk).update(state="ready", served=[{"id": "alpha", "context_length": None}])
    assert gateway.default_model() == "alpha"
    Engine.objects.filter(pk=engine.pk).update(state="down")
    assert gateway.default_model() == "old"


def test_the_default_that_was_chosen_wins_over_the_first() -> None:
    _, beta = register("alpha", "beta")
    services.set_default_model(model=beta)
    assert gateway.default_model() == "beta"


def test_the_configured_model_wins_over_all() -> None:
    _, beta = register("alpha", "beta")
    services.set_default_model(model=beta)
    with configured(model_name="alpha"):
        assert gateway.default_model() == "alpha"


def test_a_configured_model_is_the_default_before_its_engine_was_seen() -> None:
    with configured(model_name="Qwen/Qwen3-0.6B"):
        assert gateway.default_model() == "Qwen/Qwen3-0.6B"
        assert resolve("gpt-4o") == Target("Qwen/Qwen3-0.6B")


def test_there_is_one_default() -> None:
    alpha, beta = register("alpha", "beta")
    services.set_default_model(model=alpha)
    services.set_default_model(model=beta)
    assert list(RegisteredModel.objects.filter(is_default=True)) == [beta]


def test_names_under_which_models_are_served(tmp_path: Path) -> None:
    assert served_name("") == persona.MODEL_NAME
    assert served_name(str(STARTER_WEIGHTS)) == persona.MODEL_NAME
    assert served_name(str(tmp_path / "qwen")) == "qwen"
    assert served_name("./models/qwen") == "qwen"
    assert served_name("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"


def test_registering_twice_changes_nothing() -> None:
    services.register_models(names=[("alpha", "here", 512)])
    services.register_models(names=[("alpha", "there", 1), ("", "", None), ("y" * 201, "", None)])
    assert list(RegisteredModel.objects.values_list("name", "source", "context_length")) == [("alpha", "here", 512)]
