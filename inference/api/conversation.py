"""From a chat's body to what every engine understands: one dialect, in which the older forms are written anew.

``developer`` is ``system``, ``functions`` are ``tools``, and parts that are all text are one text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inference.chat import Attribution, ChatRequest
from sovereign.accounts.principals import Principal
from sovereign.core import strict_schemas
from sovereign.core.errors import ApiError

#: Parameters that mean something only beside another.
ONLY_BESIDE = {
    "stream_options": "stream",
    "top_logprobs": "logprobs",
    "metadata": "store",
}


MOST_SENT = 64 * 1024 * 1024  # bytes of all the calls of one request
LARGEST_SEED = 2**63 - 1


def check_extent(size: int, calls: int) -> None:
    """:param size: bytes of the request.

    :raises ApiError: 400, it is too large to be sent so often.
    """
    if size * calls > MOST_SENT:
        raise ApiError(
            f"A request of {size} bytes is too large for {calls} calls of a model: all of them together can have "
            f"{MOST_SENT // 1024**2} MB. Ask for fewer answers.",
            param="n",
            code="invalid_value",
        )


def seeds_of(seed: int | None, calls: int) -> list[int | None]:
    """One for each call: with one for all of them, all answers would be the same. After the largest comes 0."""
    if seed is None:
        return [None] * calls
    return [seed + number if seed + number <= LARGEST_SEED else seed + number - 2**63 for number in range(calls)]


def attribution_of(principal: Principal, purpose: str) -> Attribution:
    user = str(principal.user_id) if principal.user_id is not None else None
    return Attribution(project=principal.project_id, key=principal.key_id, user=user, purpose=purpose)


def chat_request(body: dict[str, Any], principal: Principal) -> ChatRequest:
    """One model call.

    :param body: as ``ChatRequestBody`` checked it, without what was null.
    :raises ApiError: 400, what is right in itself and does not go together.
    """
    check_combinations(body)
    tools, choice = _tools_of(body)
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return ChatRequest(
        model=body["model"],
        messages=list(_messages(body["messages"])),
        tools=tools,
        tool_choice=choice if tools else None,
        parallel_tool_calls=body.get("parallel_tool_calls", "functions" not in body),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        max_tokens=limit,
        response_format=body.get("response_format"),
        reasoning_effort=body.get("reasoning_effort"),
        stop=body.get("stop", []),
        seed=body.get("seed"),
        presence_penalty=body.get("presence_penalty"),
        frequency_penalty=body.get("frequency_penalty"),
        logit_bias=body.get("logit_bias"),
        logprobs=body.get("logprobs", False),
        top_logprobs=body.get("top_logprobs"),
        end_user=body.get("user", body.get("safety_identifier")),
        attribution=attribution_of(principal, "chat"),
    )


def is_forced(choice: Any) -> bool:
    """Whether a certain function has to be called: such an answer ends with ``stop``, as the original's does."""
    return isinstance(choice, dict) and choice.get("type") != "allowed_tools"


# ------------------------------------------------------------------------------------------------ combinations


def check_combinations(body: dict[str, Any]) -> None:
    """:raises ApiError: 400."""
    for name, needed in ONLY_BESIDE.items():
        check_beside(body, name, needed)
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and not body.get("tools"):
            raise _refused(name, f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.")
    if "function_call" in body and "functions" not in body:
        raise _refused(
            "function_call",
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.",
        )
    for one, other in (("tools", "functions"), ("max_tokens", "max_completion_tokens")):
        if one in body and other in body:
            raise ApiError(
                f"Setting '{one}' and '{other}' at the same time is not supported.",
                param=one,
                code="invalid_parameter_combination",
            )
    _check_format(body)
    _check_order(body["messages"])


def check_beside(body: dict[str, Any], name: str, needed: str) -> None:
    """:raises ApiError: 400, where ``name`` is there and ``needed`` is not."""
    if body.get(name) and not body.get(needed):
        raise _refused(name, f"The '{name}' parameter is only allowed when '{needed}' is enabled.")


def _refused(param: str, message: str) -> ApiError:
    return ApiError(message, param=param, code="invalid_value")


def _check_format(body: dict[str, Any]) -> None:
    form = body.get("response_format")
    strict_schemas.check_response_format(form)
    if form and form["type"] == "json_object" and not any("json" in text for text in _texts(body["messages"])):
        raise ApiError(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )


def _texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    """All that is said, in small letters."""
    for message in messages:
        content = message.get("content") or ""
        parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        yield from (part.lower() for part in parts)


def _check_order(messages: list[dict[str, Any]]) -> None:
    """A tool answers a call, and every call is answered before anything else is said."""
    waiting: dict[str, None] = {}
    caller = 0
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise ApiError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            del waiting[message["tool_call_id"]]
        elif waiting:
            break
        elif calls := message.get("tool_calls"):
            waiting, caller = dict.fromkeys(call["id"] for call in calls), index
    if waiting:
        raise ApiError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            param=f"messages.[{caller}].role",
        )


# --------------------------------------------------------------------------------------------------- functions


def _tools_of(body: dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    """The tools, and which of them is to be called."""
    if functions := body.get("functions"):
        tools: list[dict[str, Any]] = [{"type": "function", "function": dict(function)} for function in functions]
        choice = body.get("function_call")
        choice = {"type": "function", "function": dict(choice)} if isinstance(choice, dict) else choice
    else:
        tools, choice = body.get("tools", []), body.get("tool_choice")
    for index, tool in enumerate(tools):
        strict_schemas.check_function(tool, index)
    named = _named(choice)
    known = {tool["function"]["name"] for tool in tools}
    if unknown := [name for name in named if name not in known]:
        where = "functions" if "functions" in body else "tools"
        param = "function_call" if "functions" in body else "tool_choice"
        raise _refused(param, f"Tool choice '{unknown[0]}' not found in '{where}' parameter.")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        tools = [tool for tool in tools if tool["function"]["name"] in named]
        return tools, choice["allowed_tools"]["mode"]
    return [_plain(tool) for tool in tools], choice


def _plain(tool: dict[str, Any]) -> dict[str, Any]:
    """A function without parameters has none: some engines want that said."""
    function = {"parameters": strict_schemas.EMPTY, **tool["function"]}
    return {"type": "function", "function": function}


def _named(choice: Any) -> list[str]:
    if not isinstance(choice, dict):
        return []
    if choice["type"] == "allowed_tools":
        return [tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]]
    return [choice["function"]["name"]]


# ---------------------------------------------------------------------------------------------------- messages


def _messages(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    called = "call_function"
    for index, message in enumerate(messages):
        role = message["role"]
        if role == "assistant":
            if function := message.get("function_call"):
                called = f"call_function_{index}"
                call = {"id": called, "function": function}
                message = {**message, "tool_calls": [call]}
            yield _answer(message)
        elif role == "function":
            yield {"role": "tool", "tool_call_id": called, "content": message["content"] or ""}
        elif role == "tool":
            yield {"role": "tool", "tool_call_id": message["tool_call_id"], "content": _joined(message["content"])}
        else:
            yield _said("system" if role == "developer" else role, message)


def _said(role: str, message: dict[str, Any]) -> dict[str, Any]:
    name = {"name": message["name"]} if message.get("name") else {}
    return {"role": role, "content": _joined(message["content"]), **name}


def _answer(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part.get("text", part.get("refusal", "")) for part in content)
    if content is None:
        content = message.get("refusal")
    calls = message.get("tool_calls")
    answer: dict[str, Any] = {"role": "assistant", "content": content if calls or content is not None else ""}
    if calls:
        answer["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": _called(call["function"])} for call in calls
        ]
    return answer


def _called(function: dict[str, Any]) -> dict[str, str]:
    return {"name": function["name"], "arguments": function["arguments"]}


def _joined(content: Any) -> Any:
    """Parts that are all text as one text; others as they are."""
    if isinstance(content, str) or any(part["type"] != "text" for part in content):
        return content
    return "\n".join(part["text"] for part in content)
