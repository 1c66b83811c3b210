"""A provider of the environment in real processes: it works, it is told, and its key is kept nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import started
from tests.support.processes import Stack, Upstream, eventually

pytestmark = pytest.mark.live

SECRET = "sk-live-secret-0123456789abcdef"


@pytest.fixture
def keyed(tmp_path: Path, upstream: Upstream) -> Iterator[Stack]:
    made = started(Stack(tmp_path, engine_url=upstream.url, SOVEREIGN_ENGINE_API_KEY=SECRET))
    yield made
    made.destroy()


def test_its_key_is_in_no_log_no_database_and_no_answer_and_it_goes_with_its_variable(
    keyed: Stack, upstream: Upstream
) -> None:
    server = keyed.up()
    keyed.await_log(server, "engine_ready")
    told = keyed.client.get("/health/providers")
    [provider] = told["providers"]
    assert (told["status"], provider["provider"], provider["models"]) == ("ready", "external", [upstream.model])
    assert provider["last_token_age"] is not None
    assert "words_may_leave_for" in server.output()
    assert server.terminate() == 0
    held = b"".join(path.read_bytes() for path in keyed.folder.rglob("*") if path.is_file())
    assert b"words_may_leave_for" in held
    assert SECRET.encode() not in held

    keyed.database.keep_wants()
    keyed.environment |= {"SOVEREIGN_ENGINE_URL": "", "SOVEREIGN_ENGINE_API_KEY": ""}
    again = keyed.start("serve", "--no-worker")
    keyed.await_health(again)
    assert keyed.client.get("/health/providers")["status"] == "ready", "another process may still want it"
    keyed.database.age_wants()
    worker = keyed.worker()
    eventually(lambda: keyed.client.get("/health/providers")["providers"] == [], what="the provider is gone")
    keyed.await_log(worker, "words_leave_for_nobody")
