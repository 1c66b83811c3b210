"""The first start, from nothing: other tests begin with a database that is migrated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.live


def test_out_of_nothing_comes_an_installation_that_answers(tmp_path: Path, upstream: Upstream) -> None:
    stack = Stack(tmp_path / "stack", engine_url=upstream.url)
    stack.database.path.unlink()
    try:
        stack.up()
        assert stack.user, "its name is told"
        assert stack.password
        stack.await_engine()  # its models are known once it has answered
        assert stack.client.assistant(upstream.model, name="First").startswith("asst_")
        stack.server.terminate()
        assert not stack.up().said("Password: "), "the second start tells no secrets"
        assert [found["name"] for found in stack.client.get("/v1/assistants")["data"]].count("First") == 1
    finally:
        stack.destroy()
