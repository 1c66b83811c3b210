"""Workers are killed while a version has its first conversation: it comes into service all the same."""

from __future__ import annotations

from typing import Any

import pytest

from runs.lifecycle.smoke import QUESTION
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from tests.support.client import Client, Refused, unique
from tests.support.fixtures import Cluster
from tests.support.processes import START_TIMEOUT, Stack, Upstream, eventually

pytestmark = pytest.mark.fault


@pytest.fixture
def admin(cluster: Cluster, stack: Stack) -> Client:
    """A client that may deploy to staging."""
    scopes = (part for scope in sorted(ROLE_SCOPES[Role.ADMIN.value]) for part in ("--scope", scope))
    process = stack.start("create_api_key", "--name", unique(), *scopes)
    return Client(stack.url, process.line("API key: ", START_TIMEOUT))


def tried(admin: Client, model: str) -> dict[str, Any]:
    """A deployment to staging that is being tried; engines are asked for until one is known to be there."""
    assistant = admin.assistant(model, instructions="Be brief.")

    def deployed() -> Any:
        try:
            return admin.post(f"/api/v1/assistants/{assistant}/deploy", {"environment": "staging"})
        except Refused as refused:
            if refused.body["error"]["code"] != "not_ready":
                raise
            return None

    deployment: dict[str, Any] = eventually(deployed, what="an engine of the model")
    assert deployment["status"] == "validating"
    return deployment


def settled(admin: Client, deployment: dict[str, Any]) -> dict[str, Any]:
    def look() -> Any:
        found = admin.get(f"/api/v1/assistants/deployments/{deployment['id']}")
        return found if found["status"] != "validating" else None

    return dict(eventually(look, what="the deployment's end"))


def finding(deployment: dict[str, Any]) -> dict[str, Any]:
    return dict(next(found for found in deployment["checks"] if found["name"] == "smoke_conversation"))


def await_words(stack: Stack, run: str) -> None:
    said = "SELECT count(*) FROM runs_runevent WHERE run_id = ? AND type = 'thread.message.delta'"
    eventually(lambda: stack.database.rows(said, run) != [(0,)], what="the first words")


def test_another_worker_goes_on_with_the_conversation(
    cluster: Cluster, stack: Stack, admin: Client, continuing_upstream: Upstream
) -> None:
    key = unique()
    continuing_upstream.teach({QUESTION: f"[tokens=40 hold=20 key={key}]"})
    deployment = tried(admin, "continuing")
    await_words(stack, deployment["smoke_run_id"])
    cluster.worker_of(deployment["smoke_run_id"]).kill()
    continuing_upstream.release(key)  # what was kept may end before the engine's stop, where it would wait once more

    done = settled(admin, deployment)
    assert (done["status"], done["smoke_run_id"]) == ("active", deployment["smoke_run_id"])
    assert "t39" in finding(done)["detail"], "the whole answer was looked at"
    first, *others = continuing_upstream.stats(key)["requests"]
    assert not first["continued"]
    assert [asked["continued"] for asked in others] == [True], "it went on, and was not asked anew"


def test_where_every_worker_dies_amid_the_answer_the_next_one_asks_again(
    cluster: Cluster, stack: Stack, admin: Client, upstream: Upstream
) -> None:
    """The engine cannot continue an answer, so the run fails: that is no version's fault."""
    key = unique()
    upstream.teach({QUESTION: f"[tokens=40 hold=20 key={key}]"})
    deployment = tried(admin, "fake")
    first = deployment["smoke_run_id"]
    await_words(stack, first)
    for worker in cluster.workers:
        worker.kill()
    upstream.release(key)
    cluster.heal()

    done = settled(admin, deployment)
    assert (done["status"], finding(done)["verdict"]) == ("active", "passed")
    assert done["smoke_run_id"] != first
    assert stack.database.rows("SELECT status FROM runs_run WHERE id = ?", first) == [("failed",)]
    history = admin.get(f"/api/v1/assistants/{deployment['assistant_id']}/deployments")["data"]
    assert [row["id"] for row in history] == [deployment["id"]], "one deployment, however many workers looked after it"
