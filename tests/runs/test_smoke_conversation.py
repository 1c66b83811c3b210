"""A version is asked a first question before it serves: it answers in words and in time, or is not deployed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from assistants.deployments import activation
from assistants.deployments.checks import CHECKS
from assistants.models import Assistant, Deployment
from inference import gateway
from inference.chat import InferenceError
from runs.lifecycle import chores, smoke
from runs.models import Run
from runs.services import control
from runs.services.leases import claim
from runs.worker import execution
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from sovereign.core.errors import ApiError
from tests.runs.deploying import Status, being_tried, published
from tests.runs.support import Gate, Model, call, end, kill, text, until, within, working
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _only_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other checks have tests of their own."""
    only = CHECKS[smoke.SmokeConversation.name]
    monkeypatch.setattr("assistants.deployments.checks.CHECKS", {only.name: only})
    monkeypatch.setattr("assistants.deployments.checklist.CHECKS", {only.name: only})


@pytest.fixture
def tried(model: Model, assistant: Assistant) -> Callable[..., Deployment]:
    """``tried(**content)``: a version that is being tried for staging."""
    return lambda **content: being_tried(published(assistant, **content))


async def settled(deployment: Deployment) -> Deployment:
    over = Deployment.objects.filter(pk=deployment.pk).exclude(status=Status.VALIDATING)
    return await until(over.first)  # type: ignore[no-any-return]


def finding(deployment: Deployment) -> dict[str, Any]:
    [found] = deployment.checks
    return dict(found)


def run_of(deployment: Deployment) -> Run:
    deployment.refresh_from_db()
    return Run.objects.select_related("configuration", "thread").get(pk=deployment.smoke_run_id)


def age(run: Run, seconds: float = 61.0) -> None:
    Run.objects.filter(pk=run.pk).update(created_at=now() - timedelta(seconds=seconds))


async def test_a_version_that_answers_comes_into_service(model: Model, tried: Callable[..., Deployment]) -> None:
    model.answers(*text("I am", " here."), end())
    deployment = await in_database(tried, instructions="Say who you are.")
    assert finding(deployment)["verdict"] == "pending"
    async with working():
        over = await settled(deployment)
    assert (over.status, over.reason) == ("active", "")
    assert (finding(over)["verdict"], finding(over)["detail"]) == ("passed", "It said: I am here.")
    [request] = model.requests
    assert [message["role"] for message in request.messages] == ["system", "user"]
    assert request.messages[0]["content"] == "Say who you are.", "the version's words, and not the draft's"


async def test_the_conversation_is_nobodys_and_says_what_it_is(model: Model, tried: Callable[..., Deployment]) -> None:
    deployment = await in_database(tried)
    run = await in_database(run_of, deployment)
    assert (run.created_by_user, run.created_by_key, run.thread.owner_id) == (None, None, None)
    assert (run.version_id, run.deployment_id) == (deployment.version_id, None)
    assert run.metadata["sovereign_purpose"] == run.thread.metadata["sovereign_purpose"] == "smoke_conversation"
    assert run.configuration.data["tool_choice"] == "none"


async def test_a_run_that_fails_keeps_the_version_out_and_tells_why(
    model: Model, tried: Callable[..., Deployment]
) -> None:
    model.answers(InferenceError("The model is broken."))
    deployment = await in_database(tried)
    async with working():
        over = await settled(deployment)
    assert over.status == "failed"
    assert "The model is broken." in over.reason
    found = finding(over)
    assert found["verdict"] == "failed"
    assert "The model is broken." in found["detail"]
    assert found["fix"]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([*text("  \n"), end()], "was empty"),
        ([end("length")], "used up before it said a word"),
        ([*call(0, "weather"), end("tool_calls")], "called a function"),
    ],
)
async def test_an_answer_without_words_is_none(model: Model, tooled: Assistant, script: list[Any], told: str) -> None:
    model.answers(*script)
    deployment = await in_database(lambda: being_tried(published(tooled)))
    async with working():
        over = await settled(deployment)
    assert over.status == "failed"
    assert told in finding(over)["detail"]
    assert finding(over)["fix"]


async def test_an_answer_that_its_own_limit_cut_is_one(model: Model, tried: Callable[..., Deployment]) -> None:
    model.answers(*text("I am he"), end("length"))
    deployment = await in_database(tried)
    async with working():
        assert (await settled(deployment)).status == "active"


async def test_a_long_answer_is_shown_in_part(model: Model, tried: Callable[..., Deployment]) -> None:
    model.answers(*text("word " * 100), end())
    deployment = await in_database(tried)
    async with working():
        over = await settled(deployment)
    assert finding(over)["detail"].endswith(" …")
    assert len(finding(over)["detail"]) < smoke.SHOWN + 20


# ------------------------------------------------------------------------------------------------ time


def test_no_answer_in_time_keeps_the_version_out_and_nobody_works_on_it(
    model: Model, tried: Callable[..., Deployment]
) -> None:
    model.ready, model.reason = False, "The engine sleeps."
    deployment = tried()
    assert claim(worker_id="a", limit=1) == []
    run = run_of(deployment)
    age(run, 50.0)
    chores.settle()
    deployment.refresh_from_db()
    assert (deployment.status, finding(deployment)["detail"]) == ("validating", "The engine sleeps.")
    age(run)
    chores.settle()
    deployment.refresh_from_db()
    assert deployment.status == "failed"
    assert finding(deployment)["detail"] == "There was no answer within 60 seconds. The engine sleeps."
    assert run_of(deployment).status == "cancelling"


async def test_an_answer_that_hangs_is_ended(model: Model, tried: Callable[..., Deployment]) -> None:
    gate = Gate()
    model.answers(*text("Well"), gate, end())
    deployment = await in_database(tried)
    async with working():
        await within(gate.reached.wait())
        run = await in_database(run_of, deployment)
        await in_database(age, run)
        over = await settled(deployment)
        assert over.status == "failed"
        assert "within 60 seconds" in finding(over)["detail"]
        await until(lambda: run_of(deployment).status == "cancelled")


def test_one_that_was_cancelled_or_deleted_by_somebody(
    model: Model, tried: Callable[..., Deployment], principal: Principal
) -> None:
    deployment = tried()
    run = run_of(deployment)
    control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id)
    chores.settle()
    deployment.refresh_from_db()
    assert (deployment.status, finding(deployment)["fix"]) == ("failed", "Deploy again.")
    deployment = tried()
    Thread.objects.filter(pk=run_of(deployment).thread_id).delete()
    chores.settle()
    deployment.refresh_from_db()
    assert finding(deployment)["detail"] == "The conversation was deleted."


# ------------------------------------------------------------------------------------------------ deaths


async def test_a_worker_that_dies_before_the_first_word_changes_nothing(
    model: Model, tried: Callable[..., Deployment]
) -> None:
    gate = Gate()
    model.answers(gate)
    deployment = await in_database(tried)
    async with working() as worker:
        await within(gate.reached.wait())
        run = await in_database(run_of, deployment)
        model.answers(*text("Here"), end())
        await kill(worker, run.id)
        assert (await settled(deployment)).status == "active"
    assert (await in_database(run_of, deployment)).pk == run.pk


async def test_a_worker_that_dies_amid_the_answer_is_forgiven_once(
    model: Model, tried: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "ENGINE_PAUSE", 0.01)
    model.capabilities = type(model.capabilities)(continuation=False, context_length=8_192)
    deployment = await in_database(tried)
    async with working() as worker:
        runs = []
        for _ in range(smoke.ATTEMPTS):
            gate = Gate()
            model.answers(*text("I am"), gate)
            await within(gate.reached.wait())
            runs.append(await in_database(run_of, deployment))
            await until(lambda: runs[-1].events.filter(type="thread.message.delta").exists())
            await kill(worker, runs[-1].id)
        over = await settled(deployment)
    assert len({run.id for run in runs}) == 2
    assert over.status == "failed"
    assert "cannot continue" in finding(over)["detail"]


def test_of_many_workers_one_asks_again(model: Model, tried: Callable[..., Deployment]) -> None:
    deployment = tried()
    first = run_of(deployment)
    Run.objects.filter(pk=first.pk).update(status="failed", crash_count=1, failed_at=now())
    for _ in range(3):
        chores.settle()
    second = run_of(deployment)
    assert (first.metadata["sovereign_attempt"], second.metadata["sovereign_attempt"]) == ("1", "2")
    assert Run.objects.count() == 2
    deployment.refresh_from_db()
    assert deployment.status == "validating"


def test_what_cannot_be_asked_again_is_told_and_comes_to_an_end(
    model: Model, tried: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = tried()
    first, gone = run_of(deployment), {"code": "server_error", "message": "The worker died."}
    Run.objects.filter(pk=first.pk).update(status="failed", crash_count=1, failed_at=now(), last_error=gone)

    def refuse(name: str, **_: Any) -> None:
        raise ApiError(f"No model '{name}'.")

    with monkeypatch.context() as patched:
        patched.setattr(gateway, "check_model", refuse)
        chores.settle()
        chores.settle()
        assert run_of(deployment).pk == first.pk
        assert (deployment.status, deployment.reason) == ("validating", "It could not be asked again: No model 'tiny'.")
        made = now() - timedelta(seconds=121)
        Run.objects.filter(pk=first.pk).update(created_at=made, failed_at=made + timedelta(seconds=1))
        chores.settle()
    deployment.refresh_from_db()
    assert deployment.status == "failed"
    assert "The worker died. It could not be asked again: No model 'tiny'." in finding(deployment)["detail"]


def test_what_refuses_it_may_pass(
    model: Model, tried: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = tried()
    first = run_of(deployment)
    Run.objects.filter(pk=first.pk).update(status="failed", crash_count=1, failed_at=now())
    with monkeypatch.context() as patched:
        patched.setattr(smoke, "_ask", refused_once := Refusing())
        chores.settle()
    assert refused_once.calls == 1
    chores.settle()
    assert run_of(deployment).pk != first.pk
    assert (deployment.status, deployment.reason) == ("validating", "")


class Refusing:
    calls = 0

    def __call__(self, deployment: Deployment, *, attempt: int) -> Run:
        self.calls += 1
        raise ApiError("Not now.")


def test_looking_where_nothing_is_new_writes_nothing(
    model: Model, tried: Callable[..., Deployment], django_assert_max_num_queries: Any
) -> None:
    tried()
    chores.settle()
    with django_assert_max_num_queries(12) as looked:
        chores.settle()
    words = {query["sql"].split()[0] for query in looked.captured_queries}
    assert words.isdisjoint({"UPDATE", "INSERT", "BEGIN"}), words


def test_one_that_kills_every_worker_is_not_asked_again(model: Model, tried: Callable[..., Deployment]) -> None:
    deployment = tried()
    poison = {"code": "server_error", "message": "3 workers died while they worked on this run."}
    run = run_of(deployment)
    Run.objects.filter(pk=run.pk).update(status="failed", crash_count=2, failed_at=now(), last_error=poison)
    chores.settle()
    deployment.refresh_from_db()
    assert deployment.status == "failed"
    assert "3 workers died" in deployment.reason


# ------------------------------------------------------------------------------------------------ refusals


def test_what_cannot_even_be_asked_is_told_and_leaves_nothing(model: Model, tried: Callable[..., Deployment]) -> None:
    deployment = tried(model="unknown-model")
    assert deployment.status == "failed"
    assert "unknown-model" in finding(deployment)["detail"]
    assert not Thread.objects.exists()
    assert not Run.objects.exists()


def test_one_that_cannot_be_looked_after_keeps_no_other_waiting(
    model: Model, tried: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = tried(), tried()
    Deployment.objects.filter(pk=fine.pk).update(environment="production")
    Run.objects.filter(pk=run_of(fine).pk).update(status="failed", last_error={"code": "server_error", "message": "No"})
    settle = activation.settle

    def failing(deployment_id: str) -> Deployment | None:
        if deployment_id == broken.pk:
            raise ValueError
        return settle(deployment_id)

    monkeypatch.setattr(activation, "settle", failing)
    chores.settle()
    fine.refresh_from_db()
    assert fine.status == "failed"


def test_who_did_it_is_the_product(model: Model, tried: Callable[..., Deployment]) -> None:
    deployment = tried()
    Run.objects.filter(pk=run_of(deployment).pk).update(status="failed", last_error={"code": "x", "message": "No"})
    chores.settle()
    event = AuditEvent.objects.get(action="deployment.failed")
    assert (event.object_id, event.user_id, event.key_id) == (deployment.pk, None, None)
