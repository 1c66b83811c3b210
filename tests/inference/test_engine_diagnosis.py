"""One clear sentence for each way in which vLLM fails to start: from its own logs, and from what GPUs make it say."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.engines.diagnosis import LONGEST_DETAIL, ending, explain, stage

LOGS = Path(__file__).with_name("engine_logs")  # of vLLM 0.32 (CPU), the frames of tracebacks left out

REAL = {
    "automap": "Its repository holds code of its own, which is never run.",
    "blocks": "Its context is longer than the memory for it allows: give --max-model-len.",
    "cache": "It ran out of memory.",
    "cut": "The model's weights are damaged or were not copied whole.",
    "flag": "vLLM does not know the option --nonsense.",
    "longlen": "--max-model-len is longer than the context that the model was made for.",
    "lora": "A LoRA adapter cannot be read: /nowhere/a.",
    "missingrepo": "The model is not on this machine and its repository could not be reached.",
    "odd": "vLLM cannot run this architecture: ['OddForCausalLM'].",
    "port": "Its port was taken by another program.",
    "ray": "Ray is missing or has not enough GPUs: see `ray status`.",
    "reasonparser": "This vLLM has no reasoning parser nonsense.",
    "sleep": "This build of vLLM has no sleep mode.",
    "toolparser": "This vLLM has no tool parser nonsense.",
    "tp": "vLLM refused its options: "
    "Total number of attention heads (2) must be divisible by tensor parallel size (3).",
    "value": "vLLM refused an option: --dtype: invalid choice: 'nonsense'.",
}
#: what is logged by every engine, also by one that works
HARMLESS = (
    "(APIServer pid=7) INFO 11-21 13:44:35 [api_utils.py:286] non-default args: {'trust_remote_code': True}\n"
    "(APIServer pid=7) WARNING 11-21 13:44:35 [system_utils.py:255] Found ulimit of 20000 and failed to automatically "
    "increase. This can cause fd limit errors like `OSError: [Errno 24] Too many open files`.\n"
    "(EngineCore pid=8) INFO 11-21 13:44:36 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: "
    "model='/models/tiny', trust_remote_code=False, download_dir=None\n"
)


@pytest.mark.parametrize(("name", "sentence"), REAL.items())
def test_a_whole_log(name: str, sentence: str) -> None:
    assert explain((LOGS / f"{name}.log").read_text()) == sentence


def test_every_log_is_judged() -> None:
    assert {path.stem for path in LOGS.glob("*.log")} == set(REAL)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU",
            "The NVIDIA driver is too old for this build of vLLM: install a newer driver.",
        ),
        (
            "torch.AcceleratorError: CUDA error: CUDA driver version is insufficient for CUDA runtime version",
            "The NVIDIA driver is too old for this build of vLLM: install a newer driver.",
        ),
        (
            "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
            "It sees no GPU: check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or install vLLM's CPU build.",
        ),
        (
            "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`",
            "It sees no GPU: check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or install vLLM's CPU build.",
        ),
        (
            "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
            "It sees no GPU: check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or install vLLM's CPU build.",
        ),
        (
            "ImportError: libnuma.so.1: cannot open shared object file: No such file or directory",
            "A library is missing on this machine: libnuma.so.1.",
        ),
        (
            "ModuleNotFoundError: No module named 'cohere_melody'",
            "A Python package is missing in the engine's environment: cohere_melody.",
        ),
        ("ModuleNotFoundError: No module named 'vllm'", "vLLM is not installed in the engine's environment."),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB. GPU 0 has a total capacity of",
            "It ran out of memory.",
        ),
        (
            "ValueError: Free memory on device cuda:0 (3.12/23.68 GiB) on startup is less than desired GPU memory "
            "utilization (0.9, 21.31 GiB). Decrease GPU memory utilization or reduce GPU memory used by others.",
            "Another program holds the memory of the GPU: stop it, or give --memory-share.",
        ),
        (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
            "Its context is longer than the memory for it allows: give --max-model-len.",
        ),
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
            "This GPU is too old for what the model or an option asks for.",
        ),
        ("OSError: [Errno 28] No space left on device: '/root/.cache/huggingface'", "The disk is full."),
        (
            "OSError: [Errno 99] Cannot assign requested address",
            "This machine does not have the address of --advertise.",
        ),
        (
            "huggingface_hub.errors.GatedRepoError: 403 Client Error. Cannot access gated repo for url https://host/x",
            "The repository of the model asks for a permission: accept its terms and set HF_TOKEN.",
        ),
        (
            "OSError: nobody/none is not a local folder and is not a valid model identifier listed on a hub",
            "There is no such model.",
        ),
        (
            "openai.BadRequestError: As of transformers v4.44, default chat template is no longer allowed, so you must",
            "The model has no chat template: give one with --chat-template.",
        ),
        (
            "ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
            "A LoRA adapter has a larger rank than allowed: give --max-lora-rank.",
        ),
        (
            "ValueError: World size (8) is larger than the number of available GPUs (2) in this node.",
            "It was told to use more GPUs than there are.",
        ),
        ("Traceback (most recent call last): SomethingElse", ""),
    ],
)
def test_what_it_says_elsewhere(said: str, sentence: str) -> None:
    assert (
        explain(f"{HARMLESS}(EngineCore pid=9) ERROR 11-21 13:44:37 [core.py:1510] {said}\nINFO ending\n") == sentence
    )


def test_what_a_working_engine_logs_is_no_failure() -> None:
    assert explain(HARMLESS) == ""


def test_what_is_quoted_is_short_printable_and_without_secrets() -> None:
    said = explain("error: unrecognized arguments: --hf-token hf_abcdefghijklmnop --x \x1b[31m" + "y" * 500)
    assert "hf_abc" not in said
    assert said.isprintable()
    assert len(said) < LONGEST_DETAIL + 60


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (None, "It ended."),
        (3, "It ended with status 3."),
        (-11, "It was killed by signal 11."),
        (-9, "It was killed by signal 9, as the system does where memory runs out."),
    ],
)
def test_an_ending_without_words(status: int | None, sentence: str) -> None:
    assert ending(status) == sentence


def test_how_far_loading_is() -> None:
    said = ""
    seen = []
    for line in (
        "INFO version 0.32.0",
        "INFO Initializing a V1 LLM engine (v0.32.0)",
        "Fetching 10 files:  40%|####      | 4/10",
        "INFO Starting to load model /models/tiny...",
        "Loading safetensors checkpoint shards:   0% Completed | 0/4 [00:00<?, ?it/s]",
        "Loading safetensors checkpoint shards:  75% Completed | 3/4 [00:09<00:03, ?it/s]",
        "INFO GPU KV cache size: 1,000 tokens",
        "Capturing CUDA graphs (decode, FULL):  50%|#####     | 1/2",
        "INFO Application startup complete.",
    ):
        said += line + "\n"
        seen.append(stage(said))
    assert seen == [
        "Reading the model's description.",
        "Starting the engine's processes.",
        "Downloading the model (40 %).",
        "Loading the weights.",
        "Loading the weights (0 %).",
        "Loading the weights (75 %).",
        "Setting up the memory for its streams.",
        "Preparing for this GPU (50 %).",
        "Answering its first question.",
    ]
    assert stage("") == ""
