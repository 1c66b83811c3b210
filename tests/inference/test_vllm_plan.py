"""How vLLM is started, and what its log means."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference.engines import vllm
from inference.engines.installation import EngineCannotRun

PYTHON = Path("/env/bin/python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has all that a model needs."""
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (model / "model.safetensors").write_bytes(b"")
    return model


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_folder_is_served_under_its_name_and_asks_no_repository(folder: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, extra=["--max-model-len", "512"])
    assert (launch.name, launch.source, launch.context_length) == ("tiny", str(folder), 2048)
    assert launch.command[:7] == (
        *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(folder), "--served-model-name", "tiny"),
    )
    assert launch.command[-2:] == ("--max-model-len", "512"), "the operator's options come last, and win"
    assert launch.environment["HF_HUB_OFFLINE"] == "1"
    assert launch.environment["VLLM_NO_USAGE_STATS"] == "1"


def test_a_repository_keeps_its_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    launch = vllm.plan("Qwen/Qwen3-0.6B", python=PYTHON)
    assert (launch.name, launch.context_length) == ("Qwen/Qwen3-0.6B", None)
    assert "HF_HUB_OFFLINE" not in launch.environment


def test_the_engine_gets_none_of_our_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SOVEREIGN_SECRET_KEY",
        "SOVEREIGN_API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "OPENAI_API_KEY",
        "REDIS_URL_FILE",
    ):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("HF_TOKEN", "needed")
    environment = vllm.plan(str(folder), python=PYTHON).environment
    assert "hidden" not in environment.values()
    assert environment["HF_TOKEN"] == "needed"


def test_the_operators_own_environment_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    monkeypatch.setattr(vllm, "has_gpu_build", lambda python: False)
    assert vllm.plan(str(folder), python=PYTHON).environment["VLLM_CPU_KVCACHE_SPACE"] == "7"


@pytest.mark.parametrize(
    ("flags", "expected"), [({"avx2"}, True), ({"avx2", "avx512_bf16"}, False), ({"amx_bf16"}, False)]
)
def test_without_bfloat16_a_cpu_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], expected: bool
) -> None:
    monkeypatch.setattr(vllm, "cpu_flags", lambda: frozenset(flags))
    assert ("float32" in vllm.flags(gpu=False)) is expected
    assert "--enforce-eager" in vllm.flags(gpu=False)
    assert "--enforce-eager" not in vllm.flags(gpu=True)


@pytest.mark.parametrize(
    "option", ["--trust-remote-code", "--trust_remote_code", "--trust", "--tr", "--trust-remote-code=1"]
)
def test_code_of_a_repository_is_never_run(folder: Path, option: str) -> None:
    with pytest.raises(EngineCannotRun, match="refused"):
        vllm.plan(str(folder), python=PYTHON, extra=[option])


def test_options_that_only_begin_alike_are_passed_on(folder: Path) -> None:
    extra = ["--tokenizer", "x", "--tensor-parallel-size", "2"]
    assert vllm.plan(str(folder), python=PYTHON, extra=extra).command[-4:] == tuple(extra)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_brings_code_is_refused(folder: Path, name: str) -> None:
    change(folder / name, auto_map={"AutoConfig": "own.Config"})
    with pytest.raises(EngineCannotRun, match="code of its own"):
        vllm.plan(str(folder), python=PYTHON)


def test_weights_that_are_code_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EngineCannotRun, match="no weights in safetensors"):
        vllm.plan(str(folder), python=PYTHON)


def test_a_model_without_a_chat_template_is_refused_unless_one_is_given(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(EngineCannotRun, match="no chat template"):
        vllm.plan(str(folder), python=PYTHON)
    vllm.plan(str(folder), python=PYTHON, extra=["--chat-template", "t.jinja"])
    (folder / "chat_template.jinja").write_text("x")
    vllm.plan(str(folder), python=PYTHON)


@pytest.mark.parametrize("content", ["", "no json", "[]"])
def test_a_folder_that_is_no_model(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(EngineCannotRun, match="is not a model"):
        vllm.plan(str(folder), python=PYTHON)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(EngineCannotRun, match=f"There is no model folder {re.escape(str(tmp_path / 'none'))}"):
        vllm.plan(str(tmp_path / "none"), python=PYTHON)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "It ran out of memory."),
        (
            "ValueError: Available memory on node 0 (1.0/8.0 GiB) on startup is less than desired CPU memory",
            "It ran out of memory.",
        ),
        (
            "ValueError: The model's max seq len (131072) is larger than the maximum number of tokens",
            "Its context is longer than the memory for it allows: give --max-model-len.",
        ),
        ("OSError: [Errno 98] Address already in use", "Its port was taken by another program."),
        ("api_server.py: error: unrecognized arguments: --nonsense", "vLLM does not know the option --nonsense."),
        (
            "ValueError: Model architectures ['OddForCausalLM'] are not supported for now.",
            "vLLM cannot run this architecture: ['OddForCausalLM'].",
        ),
        (
            "requires you to execute the configuration file in that repo",
            "Its repository holds code of its own, which is never run.",
        ),
        ("No module named 'vllm'", "vLLM is not installed in the engine's environment."),
        ("Traceback (most recent call last): SomethingElse", ""),
    ],
)
def test_what_the_log_means(line: str, sentence: str) -> None:
    assert vllm.explain(f"INFO starting\n{line}\nINFO ending\n") == sentence


def test_how_far_loading_is() -> None:
    assert vllm.stage("") == ""
    assert vllm.stage("Starting to load model x\n") == "Loading the weights."
    assert vllm.stage("Starting to load model x\nApplication startup complete.") == "Answering its first question."
