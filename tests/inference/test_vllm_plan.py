"""How vLLM is started for a model, and which models are refused before anything is started."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference.engines import vllm
from inference.engines.installation import EngineCannotRun
from inference.engines.versions import Build

PYTHON = Path("/env/bin/python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has all that a model needs."""
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"max_position_embeddings": 2048, "model_type": "llama"}))
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (model / "model.safetensors").write_bytes(b"")
    return model


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A LoRA adapter's folder."""
    made = tmp_path / "adapter"
    made.mkdir()
    (made / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    (made / "adapter_model.safetensors").write_bytes(b"")
    return made


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "read_build", lambda python: Build(gpu=False, version=(0, 32)))


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def value(launch: vllm.Launch, flag: str) -> str | None:
    return launch.command[launch.command.index(flag) + 1] if flag in launch.command else None


def test_a_folder_is_served_under_its_name_and_asks_no_repository(folder: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, extra=["--max-num-seqs", "8"])
    assert (launch.name, launch.source, launch.context_length) == ("tiny", str(folder), 2048)
    assert launch.command[:7] == (
        *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(folder), "--served-model-name", "tiny"),
    )
    assert value(launch, "--max-num-seqs") == "8"
    assert launch.environment["HF_HUB_OFFLINE"] == "1"
    assert launch.environment["VLLM_NO_USAGE_STATS"] == "1"


def test_a_repository_keeps_its_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    launch = vllm.plan("Qwen/Qwen3-0.6B", python=PYTHON)
    assert (launch.name, launch.context_length) == ("Qwen/Qwen3-0.6B", None)
    assert "HF_HUB_OFFLINE" not in launch.environment
    assert value(launch, "--reasoning-parser") == "qwen3"


def test_every_door_of_the_server_asks_for_the_key(folder: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, extra=["--middleware", "own.Middleware"])
    assert launch.command[-2:] == ("--middleware", "sovereign_door.Door"), "the last one is asked first"
    assert (Path(launch.environment["PYTHONPATH"]) / "sovereign_door.py").exists()


def test_the_engine_gets_none_of_our_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SOVEREIGN_SECRET_KEY",
        "SOVEREIGN_API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "OPENAI_API_KEY",
        "REDIS_URL_FILE",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("HF_TOKEN", "needed")
    environment = vllm.plan(str(folder), python=PYTHON).environment
    assert "hidden" not in environment.values()
    assert environment["HF_TOKEN"] == "needed"


def test_the_operators_own_environment_wins(folder: Path, monkeypatch: pytest.MonkeyPatch, on_cpu: None) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    launch = vllm.plan(str(folder), python=PYTHON)
    started_with = {**launch.memory.environment(), **launch.environment}
    assert started_with["VLLM_CPU_KVCACHE_SPACE"] == "7"


# defaults that step back


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        (["--tool-call-parser", "mistral"], "--tool-call-parser"),
        (["--tool_call_parser=mistral"], "--tool-call-parser"),
        (["--structured-outputs-config.backend", "guidance"], "--structured-outputs-config"),
        (["--no-enable-prompt-tokens-details"], "--enable-prompt-tokens-details"),
        (["--max_model_len=512"], "--max-model-len"),
        (["--no-enforce-eager"], "--enforce-eager"),
        (["--max-num-seqs=8"], "--max-num-seqs"),
        (["--dtype", "bfloat16"], "--dtype"),
        (["--allowed-origins", '["https://a"]'], "--allowed-origins"),
    ],
)
def test_a_default_steps_back(folder: Path, on_cpu: None, given: list[str], flag: str) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, extra=given)
    ours = [part for part in launch.command if part not in given]
    assert flag not in ours
    position = launch.command.index(given[0])
    assert list(launch.command[position : position + len(given)]) == given, "and the operator's is passed on as it is"


def test_flags_of_several_gpus_are_passed_on(folder: Path) -> None:
    given = ["-tp", "2", "--pipeline_parallel_size=2", "--distributed-executor-backend", "ray", "-O3"]
    launch = vllm.plan(str(folder), python=PYTHON, extra=given)
    position = launch.command.index("-tp")
    assert list(launch.command[position : position + len(given)]) == given
    assert launch.memory.devices == 4


@pytest.mark.parametrize(
    ("flags", "expected"), [({"avx2"}, "float32"), ({"avx2", "avx512_bf16"}, None), ({"amx_bf16"}, None)]
)
def test_without_bfloat16_a_cpu_computes_in_float32(
    folder: Path, monkeypatch: pytest.MonkeyPatch, on_cpu: None, flags: set[str], expected: str | None
) -> None:
    monkeypatch.setattr(vllm, "cpu_flags", lambda: frozenset(flags))
    launch = vllm.plan(str(folder), python=PYTHON)
    assert value(launch, "--dtype") == expected
    assert "--enforce-eager" in launch.command


def test_a_gpu_keeps_vllms_own_defaults(folder: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON)
    assert "--enforce-eager" not in launch.command
    assert value(launch, "--dtype") is None
    assert value(launch, "--max-model-len") == "auto", "as much of its context as there is memory for"


def test_other_names_under_which_it_is_served(folder: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, extra=["--served-model-name", "house", "office"])
    assert launch.name == "house"
    assert [entry["id"] for entry in launch.served] == ["house", "office"]
    assert launch.command.count("--served-model-name") == 1


# adapters, vectors, sleep, address


def test_lora_adapters_are_served_as_models(folder: Path, adapter: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, extra=["--enable-lora", "--lora-modules", f"polite={adapter}"])
    assert [entry["id"] for entry in launch.served] == ["tiny", "polite"]
    assert {entry["context_length"] for entry in launch.served} == {2048}


@pytest.mark.parametrize("name", ["adapter_model.bin", "extra.pt", "code.py", "deep/evil.pkl"])
def test_an_adapter_with_code_or_pickles_is_refused(folder: Path, adapter: Path, name: str) -> None:
    (adapter / name).parent.mkdir(exist_ok=True)
    (adapter / name).write_bytes(b"")
    with pytest.raises(EngineCannotRun, match=r"is never (run|loaded)\."):
        vllm.plan(str(folder), python=PYTHON, extra=["--lora-modules", f"polite={adapter}"])


def test_an_adapter_that_names_code_is_refused(folder: Path, adapter: Path) -> None:
    change(adapter / "adapter_config.json", auto_mapping={"parent_library": "own"})
    with pytest.raises(EngineCannotRun, match="code of its own"):
        vllm.plan(str(folder), python=PYTHON, extra=["--lora-modules", f"polite={adapter}"])


def test_an_adapter_that_is_none(folder: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    for source, why in (
        (str(adapter), "adapter_model.safetensors"),
        (str(folder), "is not a LoRA adapter"),
        (f"{folder}/none", "There is no folder"),
        ("somebody/adapter", "to be a folder on this machine"),
    ):
        with pytest.raises(EngineCannotRun, match=re.escape(why)):
            vllm.plan(str(folder), python=PYTHON, extra=["--lora-modules", f"polite={source}"])


@pytest.mark.parametrize("given", [["--runner", "pooling"], ["--runner=pooling"], ["--convert", "embed"], []])
def test_a_model_that_makes_vectors(folder: Path, given: list[str]) -> None:
    (folder / "tokenizer_config.json").write_text("{}")  # which needs no chat template
    if not given:
        (folder / "modules.json").write_text("[]")
    launch = vllm.plan(str(folder), python=PYTHON, extra=given)
    assert launch.makes_vectors
    assert launch.served[0]["abilities"]["embeddings"]
    assert not launch.served[0]["abilities"]["chat"]
    assert "--tool-call-parser" not in launch.command
    assert "pooling" in " ".join(launch.command)


def test_what_makes_vectors_may_be_told_to_chat(folder: Path) -> None:
    (folder / "modules.json").write_text("[]")
    launch = vllm.plan(str(folder), python=PYTHON, extra=["--runner", "generate"])
    assert not launch.makes_vectors


def test_a_model_that_sees(folder: Path) -> None:
    change(folder / "config.json", vision_config={}, text_config={"max_position_embeddings": 99})
    launch = vllm.plan(str(folder), python=PYTHON)
    assert launch.served[0]["abilities"]["vision"]
    assert launch.context_length == 99


def test_sleep_needs_a_build_that_has_it(folder: Path, on_cpu: None) -> None:
    with pytest.raises(EngineCannotRun, match="no sleep mode, which needs a GPU"):
        vllm.plan(str(folder), python=PYTHON, sleep_after=60)


def test_sleep_where_there_is_a_gpu(folder: Path) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, sleep_after=60)
    assert "--enable-sleep-mode" in launch.command
    assert launch.environment["VLLM_SERVER_DEV_MODE"] == "1"
    awake = vllm.plan(str(folder), python=PYTHON)
    assert "--enable-sleep-mode" not in awake.command
    assert "VLLM_SERVER_DEV_MODE" not in awake.environment


@pytest.mark.parametrize(
    ("given", "host", "port", "url"),
    [
        ("", "127.0.0.1", None, "http://127.0.0.1:1/v1"),
        ("gpu-1.house", "gpu-1.house", None, "http://gpu-1.house:1/v1"),
        ("10.0.0.5:9000", "10.0.0.5", 9000, "http://10.0.0.5:1/v1"),
        ("fd00::5", "fd00::5", None, "http://[fd00::5]:1/v1"),
        ("[fd00::5]:9000", "fd00::5", 9000, "http://[fd00::5]:1/v1"),
    ],
)
def test_the_address_that_is_registered(folder: Path, given: str, host: str, port: int | None, url: str) -> None:
    launch = vllm.plan(str(folder), python=PYTHON, advertise=given)
    assert (launch.host, launch.port, launch.url(1)) == (host, port, url)


def test_a_port_and_a_certificate_of_the_operators(folder: Path) -> None:
    given = ["--port", "9100", "--ssl-certfile", "cert.pem"]
    launch = vllm.plan(str(folder), python=PYTHON, advertise="gpu-1:9000", extra=given)
    assert (launch.port, launch.url(9100)) == (9100, "https://gpu-1:9100/v1")


@pytest.mark.parametrize("given", ["0.0.0.0", "::", "http://host", "me@host", "host/path", "host:port", "a b", "1.2.3"])
def test_an_address_that_nobody_can_reach(folder: Path, given: str) -> None:
    with pytest.raises(EngineCannotRun, match="--advertise takes"):
        vllm.plan(str(folder), python=PYTHON, advertise=given)


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_that_is_none(folder: Path, share: float) -> None:
    with pytest.raises(EngineCannotRun, match="--memory-share"):
        vllm.plan(str(folder), python=PYTHON, memory_share=share)


# models that are refused


def test_code_of_a_repository_is_never_run(folder: Path) -> None:
    with pytest.raises(EngineCannotRun, match="--trust-remote-code is refused: it runs code"):
        vllm.plan(str(folder), python=PYTHON, extra=["--trust-remote-code"])


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


@pytest.mark.parametrize("content", ["", "no json", "[]", "null"])
def test_a_folder_that_is_no_model(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(EngineCannotRun, match="is not a model"):
        vllm.plan(str(folder), python=PYTHON)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(EngineCannotRun, match=f"There is no model folder {re.escape(str(tmp_path / 'none'))}"):
        vllm.plan(str(tmp_path / "none"), python=PYTHON)
