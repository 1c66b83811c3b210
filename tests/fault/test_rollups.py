"""Workers are killed while they count what happened: nothing is left out, and nothing is counted twice."""

from __future__ import annotations

import pytest

from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.processes import Stack, eventually

pytestmark = pytest.mark.fault

CALLS = 40_000
COUNTED = 300.0  # seconds: where others have the cores


def counted(stack: Stack, assistant: str) -> tuple[int, int]:
    """Model calls, and tokens of their prompts."""
    query = "SELECT calls, prompt_tokens FROM analytics_rollup WHERE assistant_id = ? AND period = 'month'"
    found = stack.database.rows(query, assistant)
    return (found[0][0], found[0][1]) if found else (0, 0)


def test_all_workers_die_amid_counting_again_and_again(cluster: Cluster, stack: Stack) -> None:
    assistant = unique()
    stack.database.add_usage(assistant, CALLS)
    for share in (0.0, 0.1, 0.3):
        eventually(lambda share=share: counted(stack, assistant)[0] > share * CALLS, COUNTED, "some of the calls")
        for worker in cluster.workers:
            worker.kill()
        calls, tokens = counted(stack, assistant)
        assert tokens >= calls, "what is counted is all there"
        cluster.heal()
    eventually(lambda: counted(stack, assistant)[0] >= CALLS, COUNTED, "all calls")
    left = "SELECT count(*) FROM inference_uncountedcall WHERE call_id LIKE ?"
    assert stack.database.rows(left, f"call_{assistant}%") == [(0,)]
    assert counted(stack, assistant) == (CALLS, CALLS * (CALLS + 1) // 2)
