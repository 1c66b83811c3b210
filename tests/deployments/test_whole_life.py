"""The life of an assistant from its making to the rollback of a canary, with people talking to it all the while."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.models import Deployment
from inference import gateway
from inference.chat import Availability, Capabilities, ChatRequest, Delta, Finished, InferenceError, TextDelta, Usage
from inference.models import RegisteredModel
from runs.lifecycle import chores
from runs.models import Run
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from sovereign.core.database import in_database
from tests.runs.support import ended, working
from threads.models import Message

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMERS = 20
AT_ONCE = 4
LEDGER = "Look everything up in the ledger."
ORDER = "Where is my order?"


class Bookshop:
    """A model that says what it was told, and cannot read ledgers: it fails where customers make it try."""

    def availability(self, name: str, **_: Any) -> Availability:
        return Availability(ready=True, reason="", capabilities=Capabilities(context_length=8_192))

    def availabilities(self, names: Iterable[str], **_: Any) -> dict[str, Availability]:
        return {name: self.availability(name) for name in names}

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        told, asked = request.messages[0]["content"], request.messages[-1]["content"]
        if LEDGER in told and asked == ORDER:
            raise InferenceError("The ledger cannot be read.")
        yield TextDelta(told)
        yield Finished("stop", Usage(prompt_tokens=10, completion_tokens=5))


@dataclass
class Caller:
    """Somebody with an API key; every call is a request of its own, made as a server makes them."""

    secret: str

    async def __call__(self, method: str, path: str, body: dict[str, Any] | None = None, *, status: int = 200) -> Any:
        answer = await in_database(self._send, method, path, body)
        assert answer.status_code == status, answer.json()
        return answer.json()

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.secret}", HTTP_OPENAI_BETA="assistants=v2")
        return getattr(client, method)(path, body, format="json")


@dataclass
class Customers:
    """People who ask again and again, each in a thread of their own."""

    call: Caller
    assistant_id: str
    threads: list[str] = field(default_factory=list)
    asked: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rounds: int = 0

    async def come(self) -> None:
        self.threads = [(await self.call("post", "/v1/threads", {}))["id"] for _ in range(CUSTOMERS)]

    async def ask(self, thread: str) -> Run:
        question = {"role": "user", "content": ORDER}
        body = {"assistant_id": self.assistant_id, "additional_messages": [question]}
        made = await self.call("post", f"/v1/threads/{thread}/runs", body)
        self.asked[thread].append(made["id"])
        return await ended(made["id"])

    async def ask_all(self) -> None:
        """Everybody once."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(thread: str) -> None:
            async with turn:
                await self.ask(thread)

        async with asyncio.TaskGroup() as group:
            for thread in self.threads:
                group.create_task(one(thread))
        self.rounds += 1

    async def heard(self) -> set[tuple[int | None, int, str]]:
        """What everybody is told now: of which version of the assistant and of the prompt, and in which words."""
        await self.ask_all()
        newest = [runs[-1] for runs in self.asked.values()]
        made = [await made_by(self.call, run_id) for run_id in newest]
        words = [await in_database(said, run_id) for run_id in newest]
        return {(number, prompts[0], text) for (number, prompts, *_), text in zip(made, words, strict=True)}

    @contextlib.asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Everybody asks, again and again; who has begun is waited for, and at least one round is whole."""
        stop, rounds = asyncio.Event(), self.rounds

        async def go_on() -> None:
            while not stop.is_set() or self.rounds == rounds:
                await self.ask_all()

        talk = asyncio.create_task(go_on())
        try:
            yield
        finally:
            stop.set()
            await talk


@pytest.fixture
def _model(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    shop = Bookshop()
    monkeypatch.setattr(gateway, "stream", shop.stream)
    monkeypatch.setattr(gateway, "availability", shop.availability)
    monkeypatch.setattr(gateway, "availabilities", shop.availabilities)
    monkeypatch.setattr(chores, "WATCH", 0.05)


@pytest.fixture
def admin(project: Project, _model: None) -> Caller:
    """A key that may what an administrator may, bound to no environment."""
    scopes = ROLE_SCOPES[Role.ADMIN.value]
    return Caller(accounts.create_api_key(project=project, name="admin", scopes=scopes)[1])


@pytest.fixture
def website(project: Project, _model: None) -> Caller:
    """The shop's website, whose key is bound to production."""
    return Caller(accounts.create_api_key(project=project, name="website", environment="production")[1])


# ------------------------------------------------------------------------------------------------ steps


async def make(admin: Caller) -> tuple[str, str]:
    """An assistant with a prompt of the library; both ids."""
    body = {"model": "tiny", "name": "Shop", "type": "support", "instructions": "Be brief."}
    assistant = (await admin("post", "/api/v1/assistants", body))["id"]
    template = {
        "name": "Shopkeeper",
        "template": "You sell {{ goods }}. {{ instructions }}",
        "variables": [{"name": "goods", "type": "string", "default": "books"}],
    }
    prompt = (await admin("post", "/api/v1/prompts", template))["id"]
    await admin("put", f"/api/v1/prompts/{prompt}/labels/production", {"version": 1})
    await admin("post", f"/api/v1/assistants/{assistant}/prompts", {"prompt_id": prompt, "label": "production"})
    return assistant, prompt


async def evaluate(admin: Caller, assistant: str) -> str:
    """A gate of staging with one case, run against the draft; the evaluation's id."""
    gate = {"name": "What it sells", "assistant_id": assistant, "gates": {"staging": 1.0}}
    evaluation = (await admin("post", "/api/v1/evaluations", gate))["id"]
    case = {"input": "What do you sell?", "checks": [{"type": "contains", "values": ["books"]}]}
    await admin("post", f"/api/v1/evaluations/{evaluation}/cases", case)
    begun = await admin("post", f"/api/v1/evaluations/{evaluation}/runs", {})
    over = await until_is(admin, f"/api/v1/evaluations/runs/{begun['id']}", "status", "completed")
    assert (over["counts"]["passed"], over["pass_rate"]) == (1, 1.0)
    return str(evaluation)


async def until_is(caller: Caller, path: str, name: str, value: str) -> Any:
    async with asyncio.timeout(60.0):
        while (found := await caller("get", path))[name] != value:
            await asyncio.sleep(0.02)
        return found


async def promote(admin: Caller, assistant: str, environment: str, **how: Any) -> dict[str, Any]:
    """From there to the next, until it is in service (or a canary)."""
    begun = await admin("post", f"/api/v1/assistants/{assistant}/promote", {"environment": environment, **how})
    wanted = "canary" if how.get("percent") else "active"
    done = await until_is(admin, f"/api/v1/assistants/deployments/{begun['id']}", "status", wanted)
    assert {check["verdict"] for check in done["checks"]} == {"passed"}
    return dict(done)


async def deploy_to_staging(admin: Caller, assistant: str) -> dict[str, Any]:
    body = {"environment": "testing"}
    assert (await admin("post", f"/api/v1/assistants/{assistant}/deploy", body))["status"] == "active"
    return await promote(admin, assistant, "testing")


async def made_by(caller: Caller, run_id: str) -> tuple[int, list[int], str, str]:
    """As the API tells it of a run: the version's number, those of the prompts' versions, status, deployment."""
    origin = await caller("get", f"/api/v1/runs/{run_id}")
    assert origin["environment"] == "production"
    prompts = [used["number"] for used in origin["prompts"]]
    return origin["version"]["number"], prompts, origin["status"], origin["deployment"]["id"]


def said(run_id: str) -> str:
    return str(Message.objects.get(run_id=run_id, role="assistant").text)


# ------------------------------------------------------------------------------------------------ the life


async def test_the_whole_life(admin: Caller, website: Caller) -> None:
    async with working():
        assistant, prompt = await make(admin)
        await evaluate(admin, assistant)
        thread = (await website("post", "/v1/threads", {"messages": [{"role": "user", "content": ORDER}]}))["id"]
        refused = await website("post", f"/v1/threads/{thread}/runs", {"assistant_id": assistant}, status=400)
        assert refused["error"]["code"] == "assistant_not_deployed"

        first = await into_production(admin, assistant)
        customers = Customers(website, assistant)
        await customers.come()
        async with customers.talking():
            await break_it(admin, assistant, prompt)
            await deploy_to_staging(admin, assistant)
            canary = await promote(
                admin, assistant, "staging", percent=50, thresholds={"minimum_runs": 5, "latency_ratio": None}
            )
            path = f"/api/v1/assistants/deployments/{canary['id']}"
            over = await until_is(admin, path, "status", "rolled_back")
        await customers.ask_all()
        assert "runs failed" in over["reason"]
        assert (over["asked_by"]["name"], over["ended_by"]) == ("admin", None)
        await assert_each_was_made_by_one(customers, first["id"], canary["id"])
        await assert_told(admin, assistant, first["id"], canary["id"])
        await mend_and_go_back(admin, customers, assistant, prompt)


async def into_production(admin: Caller, assistant: str) -> dict[str, Any]:
    """From development to production."""
    deployed = await admin("post", f"/api/v1/assistants/{assistant}/deploy", {"environment": "development"})
    assert (deployed["status"], deployed["version"]["number"]) == ("active", 1)
    for environment in ("development", "testing", "staging"):
        deployed = await promote(admin, assistant, environment)
    assert deployed["environment"] == "production"
    assert {check["name"] for check in deployed["checks"]} >= {"model", "prompts", "smoke_conversation", "evaluation"}
    return dict(deployed)


async def break_it(admin: Caller, assistant: str, prompt: str) -> None:
    """A new version of the prompt, which has the model do what it cannot; the label moves to it."""
    worse = {"template": f"You sell {{{{ goods }}}}. {{{{ instructions }}}} {LEDGER}", "expected_version": 1}
    await admin("post", f"/api/v1/prompts/{prompt}/versions", worse)
    await admin("put", f"/api/v1/prompts/{prompt}/labels/production", {"version": 2})


async def mend_and_go_back(admin: Caller, customers: Customers, assistant: str, prompt: str) -> None:
    """A third version is a canary first, then everybody's; it is taken back by hand."""
    better = {"template": "You sell {{ goods }}, gladly. {{ instructions }}", "expected_version": 2}
    await admin("post", f"/api/v1/prompts/{prompt}/versions", better)
    await admin("put", f"/api/v1/prompts/{prompt}/labels/production", {"version": 3})
    await deploy_to_staging(admin, assistant)
    canary = await promote(admin, assistant, "staging", percent=1)
    done = await admin("put", f"/api/v1/assistants/deployments/{canary['id']}/status", {"status": "active"})
    assert (done["status"], done["percent"]) == ("active", None)
    assert await customers.heard() == {(3, 3, "You sell books, gladly. Be brief.")}
    await admin("post", f"/api/v1/assistants/{assistant}/rollback", {"environment": "production"})
    assert await customers.heard() == {(1, 1, "You sell books. Be brief.")}


async def assert_each_was_made_by_one(customers: Customers, first: str, canary: str) -> None:
    """Every run says what made it; threads stay with what they have, and come back from the canary."""
    served = set()
    for runs in customers.asked.values():
        made = [await made_by(customers.call, run_id) for run_id in runs]
        for run_id, (number, prompts, status, deployment) in zip(runs, made, strict=True):
            if deployment == canary:
                assert (number, prompts, status) == (2, [2], "failed")
            else:
                assert (number, prompts, status, deployment) == (1, [1], "completed", first)
                assert await in_database(said, run_id) == "You sell books. Be brief."
        turns = [deployment for deployment, _ in groupby(deployment for *_, deployment in made)]
        assert turns in ([first], [first, canary, first], [canary, first]), "a thread is not thrown to and fro"
        served.add(canary in turns)
    assert served == {True, False}, "a part of the threads, and not all"


async def assert_told(admin: Caller, assistant: str, first: str, canary: str) -> None:
    status = await admin("get", f"/api/v1/assistants/{assistant}/deployment-status")
    production = next(place for place in status["environments"] if place["environment"] == "production")
    assert (production["active"]["id"], production["canary"]) == (first, None)
    history = await admin("get", f"/api/v1/assistants/{assistant}/deployments?environment=production")
    assert [(row["id"], row["status"]) for row in history["data"]] == [(canary, "rolled_back"), (first, "active")]
    events = AuditEvent.objects.filter(object_id=canary).order_by("created_at", "pk").values_list("action", flat=True)
    assert (await in_database(lambda: list(events)))[-2:] == ["deployment.canary", "deployment.rolled_back"]
    assert await in_database(first_conversations, assistant) == ["completed"] * 4, "of two versions in two environments"


def first_conversations(assistant: str) -> list[str]:
    """How they ended, one of each deployment that people were to be answered by."""
    tried = Deployment.objects.of(assistant).exclude(smoke_run_id=None).values_list("smoke_run_id", flat=True)
    return list(Run.objects.filter(pk__in=list(tried), version_id__isnull=False).values_list("status", flat=True))
