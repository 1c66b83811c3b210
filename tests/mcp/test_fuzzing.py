"""Whatever is sent to ``/mcp``, the answer is one of the protocol's, or a refusal as everywhere; nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assistants.models import Assistant
from runs.mcp import views
from runs.models import Run
from sovereign.core.sse import EventStream
from tests.mcp.conftest import Caller

pytestmark = pytest.mark.django_db

WORDS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
METHODS = st.sampled_from(["initialize", "ping", "tools/list", "tools/call", "server/discover", "notifications/x"])
META = st.dictionaries(
    st.sampled_from(
        [
            "progressToken",
            "io.modelcontextprotocol/protocolVersion",
            "io.modelcontextprotocol/clientCapabilities",
        ]
    ),
    st.sampled_from(["2026-07-28", "2025-11-25"]) | VALUES,
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("house-rules") | VALUES,
        "arguments": VALUES | st.fixed_dictionaries({}, optional={"message": VALUES, "thread_id": VALUES}),
        "cursor": VALUES,
        "protocolVersion": VALUES,
        "_meta": META | VALUES,
    },
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | VALUES, "method": METHODS | VALUES},
    optional={"id": st.integers() | VALUES, "params": PARAMS | VALUES, "result": VALUES},
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "MCP-Protocol-Version": st.sampled_from(["2025-11-25", "2026-07-28", "1", "=?base64?x?="]),
        "Mcp-Method": st.sampled_from(["tools/call", "ping"]),
        "Mcp-Name": st.sampled_from(["house-rules", "=?base64?aG91c2UtcnVsZXM=?="]),
    },
)
SETTINGS = settings(
    max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


RIGHT = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "house-rules", "arguments": {"message": "Hello?"}},
}


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream does not give back the test's own."""
    monkeypatch.setattr(views, "sse_response", EventStream)


@SETTINGS
@given(message=MESSAGES | VALUES, headers=HEADERS)
@example(message=RIGHT, headers={})
def test_every_message_is_answered_as_the_protocol_has_it(
    caller: Caller, offer: Callable[..., Assistant], message: Any, headers: dict[str, str]
) -> None:
    if not Assistant.objects.exists():
        offer()
    runs = Run.objects.count()
    body = json.dumps(message).encode(errors="surrogatepass")
    response = caller.client.post(
        "/mcp", body, content_type="application/json", headers={"Accept": "text/event-stream", **headers}
    )
    assert response.status_code in (200, 202, 400, 404)
    if getattr(response, "source", None) is not None:
        assert Run.objects.count() == runs + 1
        return
    assert Run.objects.count() == runs
    assert message is not RIGHT
    if response.status_code == 202:
        assert response.content == b""
        return
    answer = response.json()
    if "jsonrpc" not in answer:
        assert set(answer["error"]) == {"message", "type", "param", "code"}
    elif "error" in answer:
        assert {"code", "message"} <= set(answer["error"])
        assert answer["error"]["message"]
    else:
        assert response.status_code == 200
        assert isinstance(answer["result"], dict)
