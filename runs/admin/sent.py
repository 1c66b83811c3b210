"""What a run's model was sent, call by call, on a page of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib.admin.utils import quote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from inference.chat import ChatRequest, InferenceError
from runs.admin.figures import pretty
from runs.admin.origins import origin
from runs.admin.readable import readable
from runs.models import Run
from runs.worker.retracing import Turn, retrace, turns_of
from sovereign.accounts.admin.base import ProjectAdmin, page_of
from sovereign.core.visible import visible
from threads.services import note_reading

PAGE = "admin:runs_run_prompt"
LAST = {"came": "the answer", "called": "called {}", "nothing": "nothing came of it"}
ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
IMAGE = "[a picture]"


class Retraces(ProjectAdmin):
    """Of the page of runs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.prompt_view)
        return [path("<path:object_id>/prompt/", view, name="runs_run_prompt"), *super().get_urls()]

    def prompt_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``?call=2``: the messages of the run's second model call; of the first where nothing is said."""
        run: Run = self.found(request, object_id, to_change=False)
        note_reading(principal=self.principal_for(request, run), thread=run.thread)
        turns = turns_of(run)
        number = _number(request.GET.get("call", "1"), len(turns))
        context = {
            **self.admin_site.each_context(request),
            "title": "What the model was sent",
            "run": run,
            "address": page_of(run),
            "number": number,
            "calls": [_listed(run, place, turn, number) for place, turn in enumerate(turns, start=1)],
            "prompts": origin(request, run)["prompts"],
            **(_told(run, turns[number - 1]) if turns else {}),
        }
        return TemplateResponse(request, "admin/runs/prompt.html", context)


def _number(asked: str, most: int) -> int:
    """:raises Http404: there is no such call."""
    if not (asked.isascii() and asked.isdigit() and len(asked) < 6) or not 1 <= int(asked) <= max(1, most):
        raise Http404("no such call")
    return int(asked)


def _listed(run: Run, place: int, turn: Turn, current: int) -> dict[str, Any]:
    address = f"{reverse(PAGE, args=[quote(run.pk)])}?call={place}"
    return {"title": f"Call {place}: {_outcome(turn)}", "address": address, "is_current": place == current}


def _outcome(turn: Turn) -> str:
    names = [_name(call) for step in turn.steps for call in step.tool_calls]
    if names:
        return LAST["called"].format(visible(", ".join(dict.fromkeys(names))))
    return LAST["came"] if turn.steps else LAST["nothing"]


def _name(call: dict[str, Any]) -> str:
    return str((call.get("function") or {}).get("name") or call["type"])


def _told(run: Run, turn: Turn) -> dict[str, Any]:
    """What the template shows of a call, or the sentence why it is not known any more."""
    try:
        found = retrace(run, turn)
    except InferenceError as error:
        return {"lost": visible(error.message)}
    request = found.request
    return {
        "doubts": found.doubts,
        "messages_sent": [_message(message) for message in request.messages],
        "tools": [_tool(tool) for tool in request.tools],
        "settings": _settings(request),
        "raw": pretty({"messages": request.messages, "tools": request.tools, **dict(_plain(request))}),
    }


def _message(message: dict[str, Any]) -> dict[str, Any]:
    calls: Sequence[dict[str, Any]] = message.get("tool_calls") or []
    return {
        "role": ROLES.get(message["role"], message["role"]),
        "kind": message["role"],
        "text": visible(_text(message["content"])),
        "calls": [
            {"name": visible(call["function"]["name"]), "arguments": readable(call["function"]["arguments"])}
            for call in calls
        ],
    }


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n\n".join(part["text"] if part["type"] == "text" else IMAGE for part in content)


def _tool(tool: dict[str, Any]) -> dict[str, str]:
    function = tool["function"]
    return {
        "name": visible(function["name"]),
        "description": visible(function.get("description") or ""),
        "parameters": pretty(function.get("parameters") or {}),
    }


def _plain(request: ChatRequest) -> list[tuple[str, Any]]:
    return [
        ("model", request.model),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("max_tokens", request.max_tokens),
        ("tool_choice", request.tool_choice),
        ("parallel_tool_calls", request.parallel_tool_calls),
        ("response_format", request.response_format),
        ("reasoning_effort", request.reasoning_effort),
    ]


def _settings(request: ChatRequest) -> list[tuple[str, str]]:
    """As they were sent; what was not is left out."""
    sent = [(name, value) for name, value in _plain(request) if value is not None]
    return [(name, visible(value if isinstance(value, str) else json.dumps(value))) for name, value in sent]
