"""What the log of vLLM means: how far loading is, and in one sentence why it ended.

Lines that are not about failures are left out first: an engine that starts well, too, logs ``trust_remote_code=False``
and warns of ``Too many open files``.
"""

from __future__ import annotations

import re

#: (of a line) what vLLM says while nothing is wrong
QUIET = re.compile(r"^(\(.{1,60}?\) )?(INFO|WARNING|DEBUG) \d\d-\d\d |^\s*usage: |non-default args: ")
LONGEST_DETAIL = 160  # characters
PASSWORDS = re.compile(r"(hf_|sk-)\w{8,}|(?<=://)[^/\s@]+@")

#: what the log says → one sentence; the first match wins. ``detail`` is put at the end of the sentence
FAILURES = tuple(
    (re.compile(pattern, re.I), sentence)
    for pattern, sentence in (
        # the machine
        (
            r"driver on your system is too old|driver version is insufficient|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"
            r"|unsupported (display driver|PTX)|forward compatibility was attempted",
            "The NVIDIA driver is too old for this build of vLLM: install a newer driver.",
        ),
        (
            r"no NVIDIA driver|libcuda\.so(\.1)?: cannot open|No CUDA GPUs are available|no CUDA-capable device"
            r"|Failed to infer device type|invalid device ordinal|CUDA_ERROR_NO_DEVICE|NVML Shared Library Not Found",
            "It sees no GPU: check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or install vLLM's CPU build.",
        ),
        (
            r"no kernel image is available|compute capability (of|less than|[\d.]+ is not supported)"
            r"|only supported on GPUs with compute",
            "This GPU is too old for what the model or an option asks for.",
        ),
        (
            r"Free memory on device .{0,200}less than desired|Error in memory profiling",
            "Another program holds the memory of the GPU: stop it, or give --memory-share.",
        ),
        (
            r"No available memory for the cache blocks|larger than the maximum number of tokens that can be stored"
            r"|To serve at least one request with the model's max seq len|max seq len .{0,40} is larger",
            "Its context is longer than the memory for it allows: give --max-model-len.",
        ),
        (
            r"out of memory|OutOfMemoryError|Cannot allocate memory|less than (desired CPU|requested) memory|bad_alloc"
            r"|OutOfResources|oom[- _]kill|can't allocate memory",
            "It ran out of memory.",
        ),
        (r"No space left on device", "The disk is full."),
        (r"Address already in use|EADDRINUSE", "Its port was taken by another program."),
        (r"Cannot assign requested address", "This machine does not have the address of --advertise."),
        (r"OSError.{0,20} Too many open files", "It may not open enough files: raise `ulimit -n`."),
        (r"No module named '?vllm", "vLLM is not installed in the engine's environment."),
        (
            r"(?P<detail>lib[\w.+-]+\.so[\w.]*): cannot open shared object file",
            "A library is missing on this machine:",
        ),
        (
            r"No module named 'ray'|ray\.exceptions|Cannot (import|connect to) Ray|Ray is not installed"
            r"|No available node types can fulfill|Failed to import Ray",
            "Ray is missing or has not enough GPUs: see `ray status`.",
        ),
        (r"No module named '?(?P<detail>[\w.-]+)", "A Python package is missing in the engine's environment:"),
        (
            r"world size .{0,60}(is larger than|exceeds)|number of required GPUs exceeds"
            r"|Not enough available .{0,20}GPUs",
            "It was told to use more GPUs than there are.",
        ),
        # the model
        (
            r"contains custom code|trust_remote_code=True|execute the configuration file",
            "Its repository holds code of its own, which is never run.",
        ),
        (
            r"GatedRepoError|gated repo|401 Client Error|403 Client Error|Access to model .{0,120} is restricted",
            "The repository of the model asks for a permission: accept its terms and set HF_TOKEN.",
        ),
        (
            r"RepositoryNotFoundError|is not a local folder and is not a valid model|Repository Not Found",
            "There is no such model.",
        ),
        (
            r"LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect|Connection error|MaxRetryError"
            r"|Temporary failure in name resolution",
            "The model is not on this machine and its repository could not be reached.",
        ),
        (
            r"architectures? (?P<detail>.{0,80}?) (are|is) not supported",
            "vLLM cannot run this architecture:",
        ),
        (
            r"SafetensorError|Error while deserializing header|HeaderTooLarge|incomplete metadata",
            "The model's weights are damaged or were not copied whole.",
        ),
        (
            r"following weights were not initialized|size mismatch|Attempted to load weight|shape mismatch",
            "The model's weights do not fit its config.json.",
        ),
        (
            r"default chat template is no longer allowed|no chat template|chat template .{0,40}not found",
            "The model has no chat template: give one with --chat-template.",
        ),
        (
            r"can't load tokenizer|Couldn't instantiate the backend tokenizer"
            r"|tokenizer\.json.{0,60}(missing|not found)",
            "The model's tokenizer is missing or cannot be read.",
        ),
        (
            r"LoRA rank .{0,60}greater than max_lora_rank|is greater than max_lora_rank",
            "A LoRA adapter has a larger rank than allowed: give --max-lora-rank.",
        ),
        (
            r"No adapter found for (?P<detail>\S{1,120})|adapter_config\.json.{0,80}(?<!\w)not found",
            "A LoRA adapter cannot be read:",
        ),
        (r"does not support LoRA", "This model does not take LoRA adapters."),
        # the options
        (
            r"User-specified max_model_len .{0,20}is greater than",
            "--max-model-len is longer than the context that the model was made for.",
        ),
        (r"unrecognized arguments: (?P<detail>.+)", "vLLM does not know the option"),
        (r"error: argument (?P<detail>[^\n]{1,150})", "vLLM refused an option:"),
        (r"error: (?P<detail>ambiguous option[^\n]{1,100})", "vLLM refused an option:"),
        (r"invalid tool call parser: (?P<detail>[\w.-]+)", "This vLLM has no tool parser"),
        (r"Reasoning parser '(?P<detail>[\w.-]+)' not found", "This vLLM has no reasoning parser"),
        (r"Sleep mode is not supported|cumem allocator is not", "This build of vLLM has no sleep mode."),
        (r"Unknown quantization|quantization .{0,60} not supported", "This vLLM does not know the quantization."),
        (r"Value error, (?P<detail>[^\n\[]{1,150})", "vLLM refused its options:"),
    )
)
#: the first match of the last lines wins: later stages come first
STAGES = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"Application startup complete", "Answering its first question."),
        (r"Capturing CUDA graph[^\n]*?(\d+)%", "Preparing for this GPU (%s %%)."),
        (r"Capturing CUDA graph", "Preparing for this GPU."),
        (r"torch\.compile takes|Compiling a graph|Warming up model", "Compiling the model."),
        (r"GPU KV cache size|CPU KV cache size|Maximum concurrency for", "Setting up the memory for its streams."),
        (r"checkpoint shards:\s+(\d+)%", "Loading the weights (%s %%)."),
        (r"Starting to load model", "Loading the weights."),
        (r"Fetching \d+ files:\s+(\d+)%", "Downloading the model (%s %%)."),
        (r"Downloading|Fetching \d+ files", "Downloading the model."),
        (r"Initializing a V1 LLM engine", "Starting the engine's processes."),
        (r"Resolved architecture|version \d+\.\d+", "Reading the model's description."),
    )
)


def explain(log: str) -> str:
    """One sentence about why the engine ended, from the end of its log; ``""`` where nothing is recognised."""
    said = "\n".join(line for line in log.splitlines() if not QUIET.search(line))
    for pattern, sentence in FAILURES:
        if match := pattern.search(said):
            return _with_detail(sentence, (match.groupdict().get("detail") or "").strip())
    return ""


def _with_detail(sentence: str, detail: str) -> str:
    if not detail:
        return f"{sentence.rstrip(':')}." if sentence.endswith(":") else sentence
    detail = detail.split("(choose from")[0].split("(chose from")[0]
    printable = "".join(character if character.isprintable() else " " for character in PASSWORDS.sub("…", detail))
    return f"{sentence} {' '.join(printable.split())[:LONGEST_DETAIL].rstrip('. ')}."


def ending(status: int | None) -> str:
    """What the exit status says, where the log says nothing."""
    if status is None:
        return "It ended."
    if status == -9:
        return "It was killed by signal 9, as the system does where memory runs out."
    return f"It was killed by signal {-status}." if status < 0 else f"It ended with status {status}."


def stage(log: str) -> str:
    """How far loading is, from the end of the log; with per cent where it says them."""
    for pattern, sentence in STAGES:
        found = pattern.findall(log)
        if found:
            return sentence % found[-1] if "%s" in sentence else sentence
    return ""
