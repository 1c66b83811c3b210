"""The operator's own options: read in all of vLLM's spellings, and refused where they are not the operator's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.engines.installation import EngineCannotRun
from inference.engines.options import Options


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        (["--max-model-len", "512"], "--max-model-len", "512"),
        (["--max_model_len", "512"], "--max-model-len", "512"),
        (["--max-model-len=512"], "--max-model-len", "512"),
        (["--max_model_len=512"], "--max-model-len", "512"),
        (["--max-model", "512"], "--max-model-len", "512"),
        (["--max-model-len", "-1"], "--max-model-len", "-1"),
        (["--dtype", "float16", "--dtype", "bfloat16"], "--dtype", "bfloat16"),
        (["-tp", "2"], "--tensor-parallel-size", "2"),
        (["-tp=2"], "--tensor-parallel-size", "2"),
        (["-O3"], "--optimization-level", "3"),
        (["-O", "3"], "--optimization-level", "3"),
        (["-O=3"], "--optimization-level", "3"),
        (["--structured-outputs-config.backend", "guidance"], "--structured-outputs-config", "guidance"),
        (["--structured_outputs_config.backend=guidance"], "--structured-outputs-config", "guidance"),
        (["--device-memory-utilization", "0.5"], "--gpu-memory-utilization", "0.5"),
        (["--task", "embed"], "--runner", "embed"),
    ],
)
def test_every_spelling_means_the_option(given: list[str], name: str, value: str) -> None:
    options = Options(given)
    assert options.has(name)
    assert options.value(name) == value


@pytest.mark.parametrize("given", ["--enforce-eager", "--no-enforce-eager", "--no_enforce_eager", "--enforce_eager"])
def test_switches_and_their_opposites(given: str) -> None:
    assert Options([given]).has("--enforce-eager")
    assert Options([given]).value("--enforce-eager") is None


def test_another_option_that_begins_alike_is_another() -> None:
    assert not Options(["--max-model-len-cap", "4"]).has("--max-model-len")
    assert not Options(["--tool-parser-plugin", "x"]).has("--tool-call-parser")
    assert not Options(["--max"]).has("--dtype")
    assert not Options([]).has("--dtype")


@pytest.mark.parametrize(
    "option",
    [
        "--trust-remote-code",
        "--trust_remote_code",
        "--no-trust-remote-code",
        "--trust",
        "--tr",
        "--trust-remote-code=1",
        "--api-key",
        "--api_key=x",
        "--model",
        "--host",
        "--uds",
        "--grpc",
        "--headless",
        "--enable-sleep-mode",
    ],
)
def test_what_is_not_the_operators_is_refused(option: str) -> None:
    with pytest.raises(EngineCannotRun, match="is refused: "):
        Options([option, "x"]).check()


def test_a_file_of_options_may_not_trust_code_either(tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("max-model-len: 512\n")
    Options(["--config", str(file)]).check()
    file.write_text("trust_remote_code: true\n")
    with pytest.raises(EngineCannotRun, match="is refused"):
        Options([f"--config={file}"]).check()


def test_what_is_said_of_other_options_is_allowed() -> None:
    Options(
        [
            "--tokenizer",
            "x",
            "--tensor-parallel-size",
            "2",
            "--port",
            "9000",
            "--model-impl",
            "vllm",
            "--middleware",
            "m",
        ]
    ).check()


def test_adapters_are_read_in_both_notations() -> None:
    options = Options(["--enable-lora", "--lora-modules", "a=/x/a", '{"name": "b", "path": "/x/b"}'])
    assert options.adapters() == {"a": "/x/a", "b": "/x/b"}
    listed = Options(["--lora-modules", json.dumps([{"name": "c", "path": "/x/c"}])])
    assert listed.adapters() == {"c": "/x/c"}
    assert Options([]).adapters() == {}


@pytest.mark.parametrize("value", ["a", "=x", "a=", "{", '{"name": "a"}', "[1]"])
def test_adapters_that_are_none(value: str) -> None:
    with pytest.raises(EngineCannotRun, match="--lora-modules takes"):
        Options(["--lora-modules", value]).adapters()
