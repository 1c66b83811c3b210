"""Which of vLLM's parsers reads a model's tool calls and its reasoning: by the model's name and its type.

Where neither is known, the chat template shows how calls are written. Several names mean: the first one that the
installed vLLM has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Names = tuple[str, ...]

FALLBACK: Names = ("hermes",)  # the format of most models that were trained for tools without one of their own


@dataclass(frozen=True, slots=True)
class Rule:
    """``name`` and ``kind`` are searched in the model's name and in its ``model_type`` or architecture."""

    name: str
    kind: str
    tools: Names
    reasoning: Names = ()

    def matches(self, name: str, kind: str) -> bool:
        return bool(re.search(self.name, name, re.I)) and bool(re.search(self.kind, kind, re.I))


#: the first rule that matches wins; an unknown kind (a repository that is not here yet) is the empty text
RULES = (
    Rule(r"deepseek-?v4\.?1", r"", ("deepseek_v41", "deepseek_v4"), ("deepseek_v41", "deepseek_v4")),
    Rule(r"", r"deepseek_?v4", ("deepseek_v4",), ("deepseek_v4",)),
    Rule(r"deepseek-?v4", r"", ("deepseek_v4",), ("deepseek_v4",)),
    Rule(r"", r"deepseek_?v32", ("deepseek_v32",), ("deepseek_v3",)),
    Rule(r"deepseek-?v3\.2", r"", ("deepseek_v32",), ("deepseek_v3",)),
    Rule(r"deepseek-?v3\.1", r"", ("deepseek_v31",), ("deepseek_v3",)),
    Rule(r"deepseek-?r1-distill", r"", FALLBACK, ("deepseek_r1",)),
    Rule(r"deepseek-?r1", r"", ("deepseek_v3",), ("deepseek_r1",)),
    Rule(r"deepseek-?v3", r"", ("deepseek_v3",)),
    Rule(r"", r"deepseek_?v3", ("deepseek_v3",)),
    Rule(r"qwq", r"", FALLBACK, ("deepseek_r1",)),
    Rule(r"qwen-?3.*coder", r"", ("qwen3_coder", "qwen3_xml")),
    Rule(r"qwen-?3\.[5-9]", r"", ("qwen3_coder", "qwen3_xml"), ("qwen3",)),
    Rule(r"", r"qwen3_[5-9]|qwen3\.?[5-9]", ("qwen3_coder", "qwen3_xml"), ("qwen3",)),
    Rule(r"qwen-?3.*instruct", r"", FALLBACK),
    Rule(r"qwen-?3", r"", FALLBACK, ("qwen3",)),
    Rule(r"", r"^qwen3(_moe)?$|^qwen3(moe)?for", FALLBACK, ("qwen3",)),
    Rule(r"gpt-?oss", r"", ("openai",), ("openai_gptoss",)),
    Rule(r"", r"gpt_?oss", ("openai",), ("openai_gptoss",)),
    Rule(r"xlam", r"", ("xlam",)),
    Rule(r"hermes", r"", FALLBACK),
    Rule(r"toolace", r"", ("pythonic",)),
    Rule(r"llama-?4", r"", ("llama4_pythonic", "pythonic")),
    Rule(r"", r"^llama4", ("llama4_pythonic", "pythonic")),
    Rule(r"llama-?3", r"", ("llama3_json",)),
    Rule(r"magistral", r"", ("mistral",), ("mistral",)),
    Rule(r"mistral|mixtral|ministral|devstral|codestral|pixtral", r"", ("mistral",)),
    Rule(r"", r"^(mistral|mixtral|ministral|pixtral)", ("mistral",)),
    Rule(r"granite-20b", r"", ("granite-20b-fc",)),
    Rule(r"granite-?4", r"", ("granite4", "hermes")),
    Rule(r"", r"granitemoehybrid", ("granite4", "hermes")),
    Rule(r"granite-?3\.[23]", r"", ("granite",), ("granite",)),
    Rule(r"granite", r"", ("granite",)),
    Rule(r"", r"^granite", ("granite",)),
    Rule(r"function-?gemma", r"", ("functiongemma", "pythonic")),
    Rule(r"gemma-?4", r"", ("gemma4",), ("gemma4",)),
    Rule(r"", r"^gemma4", ("gemma4",), ("gemma4",)),
    Rule(r"gemma", r"", ("pythonic",)),
    Rule(r"", r"^gemma", ("pythonic",)),
    Rule(r"phi-?4-reasoning", r"", FALLBACK, ("deepseek_r1",)),
    Rule(r"phi-?4-mini", r"", ("phi4_mini_json",)),
    Rule(r"(?<![a-z])phi-?\d", r"^$|^phi", ("phi4_mini_json", "hermes")),
    Rule(r"glm-?4\.[7-9]|glm-?5", r"", ("glm47",), ("glm47", "glm45")),
    Rule(r"glm-?4\.[56]", r"", ("glm45",), ("glm45",)),
    Rule(r"", r"^glm4_moe", ("glm45",), ("glm45",)),
    Rule(r"kimi-?k3", r"", ("kimi_k3", "kimi_k2"), ("kimi_k3",)),
    Rule(r"kimi-?k2.*thinking", r"", ("kimi_k2",), ("kimi_k2",)),
    Rule(r"kimi", r"", ("kimi_k2",)),
    Rule(r"minimax-?m3", r"", ("minimax_m3",), ("minimax_m3",)),
    Rule(r"minimax-?m2", r"", ("minimax_m2",), ("minimax_m2",)),
    Rule(r"hunyuan.*a13b", r"", ("hunyuan_a13b",), ("hunyuan_a13b",)),
    Rule(r"", r"^hunyuan_v1_moe", ("hunyuan_a13b",), ("hunyuan_a13b",)),
    Rule(r"ernie-?4\.?5", r"", ("ernie45",), ("ernie45",)),
    Rule(r"command-?a-reasoning", r"", ("cohere_command3",), ("cohere_command3",)),
    Rule(r"internlm", r"", ("internlm",)),
    Rule(r"jamba", r"", ("jamba",)),
    Rule(r"lfm-?2", r"", ("lfm2", "pythonic")),
    Rule(r"longcat", r"", ("longcat",)),
    Rule(r"olmo-?3.*think", r"", ("olmo3",), ("olmo3",)),
    Rule(r"olmo-?3", r"", ("olmo3", "pythonic")),
    Rule(r"seed-?oss", r"", ("seed_oss",), ("seed_oss",)),
    Rule(r"step-?3\.5", r"", ("step3p5", "step3"), ("step3p5",)),
    Rule(r"step-?3", r"", ("step3",), ("step3",)),
    Rule(r"gigachat-?3", r"", ("gigachat3",)),
    Rule(r"apertus", r"", ("apertus",)),
    Rule(r"nemotron.*v3|nemotron-?3", r"", ("qwen3_coder",), ("nemotron_v3",)),
    Rule(r"(?<![a-z])mimo(?![a-z])", r"", ("mimo", "qwen3_xml"), ("mimo",)),
)
#: what a chat template writes a call with → its parser
TEMPLATES: tuple[tuple[str, Names], ...] = (
    (r"<tool_call>[\s\S]{0,200}<function=", ("qwen3_coder", "qwen3_xml")),
    (r"<tool_call>[\s\S]{0,200}<arg_key>", ("glm45",)),
    (r"<start_function_call>", ("functiongemma",)),
    (r"<tool_call>", ("hermes",)),
    (r"\[TOOL_CALLS\]", ("mistral",)),
    (r"<\|tool_call\|>", ("granite", "phi4_mini_json")),
    (r"<function_calls>", ("olmo3", "pythonic")),
    (r"<\|python_tag\|>|Environment: ipython", ("llama3_json",)),
)
#: parsers that read <think>: a template that never thinks belongs to a model whose answers they would swallow
TAGGED = frozenset({"qwen3", "deepseek_r1", "deepseek_v3", "glm45"})


@dataclass(frozen=True, slots=True)
class Parsers:
    """Names to try in this order."""

    tools: Names
    reasoning: Names


def parsers_for(name: str, configuration: dict[str, Any], template: str = "") -> Parsers:
    """How the model called ``name`` writes.

    :param configuration: of its ``config.json``, ``{}`` where that is not here yet.
    :param template: its chat template, ``""`` where that is not known.
    """
    architectures = configuration.get("architectures") or [""]
    kinds = [kind for kind in (configuration.get("model_type"), *architectures) if isinstance(kind, str)] or [""]
    rule = next((rule for rule in RULES if any(rule.matches(name, kind) for kind in kinds)), None)
    if rule is None:
        return Parsers((*_shown(template), *FALLBACK), ())
    silent = template and "think" not in template
    reasoning = tuple(parser for parser in rule.reasoning if not (silent and parser in TAGGED))
    return Parsers((*rule.tools, *_shown(template), *FALLBACK), reasoning)


def _shown(template: str) -> Names:
    return next((names for pattern, names in TEMPLATES if re.search(pattern, template)), ())
