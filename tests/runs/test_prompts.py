"""Prompts of the library in runs: what the model is told, and what the frozen configuration says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from assistants import services as assistants
from assistants.models import Assistant
from assistants.prompts import services as library
from assistants.prompts.models import Prompt
from assistants.resolution import resolve
from assistants.services import links, versions
from runs.models import Run, RunConfiguration
from runs.services import creation
from sovereign.accounts.credentials import principal_of_membership, principal_of_person
from sovereign.accounts.models import Membership, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.assistants.linking import a_prompt
from tests.runs.support import Model, end, ended, text, working
from threads import services as threads
from threads.models import Thread

pytestmark = pytest.mark.django_db

Link = Callable[..., Prompt]
PLAN = {"name": "plan", "type": "string", "description": "", "default": None, "required": True, "choices": []}


@pytest.fixture
def owner(alice: User, principal: Principal) -> Principal:
    return principal_of_person(alice.pk)


@pytest.fixture
def link(owner: Principal, assistant: Assistant) -> Link:
    """``link("Name", "text", kind=…)``: the assistant has a new prompt."""

    def make(name: str, template: str = "", *, variables: Any = (), **placing: Any) -> Prompt:
        prompt = a_prompt(owner, name, template or f"I am {name}.", labels=["production"], variables=variables)
        links.link_prompt(principal=owner, assistant_id=assistant.id, prompt_id=prompt.id, **placing)
        return prompt

    return make


def frozen(run: Run) -> tuple[str, list[str]]:
    data = run.configuration.data
    return data["instructions"], [used["name"] for used in data["prompts"]]


def over(run: Run) -> None:
    """As if it had been answered: its thread takes the next one."""
    Run.objects.filter(pk=run.pk).update(status="completed")
    Thread.objects.filter(pk=run.thread_id).update(active_run_id=None)


def resolved(assistant: Assistant, thread_id: str = "thread_1", **known: str) -> str:
    return resolve(assistant=assistant, environment=None, thread_id=thread_id, variables=known).instructions


@pytest.mark.django_db(transaction=True)
async def test_the_model_is_told_what_the_prompts_say(
    model: Model, link: Link, principal: Principal, assistant: Assistant, begin: Callable[..., Run]
) -> None:
    variables = [{**PLAN, "required": False, "default": "free"}]
    await in_database(
        link, "Main", "{{ instructions }} The plan is {{ plan }}.", variables=variables, label="production"
    )
    await in_database(link, "Tone", "Be kind.", kind="secondary")
    await in_database(
        assistants.update_assistant, principal=principal, assistant_id=assistant.id, personality="You like puns."
    )
    run = await in_database(begin, metadata={"plan": "pro"}, additional_instructions="Say hello first.")
    model.answers(*text("Hello."), end())
    async with working():
        assert (await ended(run.id)).status == "completed"
    said = "Be brief. The plan is pro.\n\nBe kind.\n\nYou like puns.\n\nSay hello first."
    assert model.requests[0].messages[0]["role"] == "system"
    assert model.requests[0].messages[0]["content"] == said
    data = (await in_database(RunConfiguration.objects.get, runs=run.id)).data
    assert data["instructions"] == said
    assert [(used["name"], used["number"], used["kind"]) for used in data["prompts"]] == [
        ("Main", 1, "primary"),
        ("Tone", 1, "secondary"),
    ]
    assert set(data["prompts"][0]) == {"link", "prompt", "name", "version", "number", "kind", "reason"}


def test_a_runs_metadata_go_before_the_threads(
    link: Link, principal: Principal, assistant: Assistant, thread: Thread
) -> None:
    link("German", conditions={"language": ["de"]}, priority=1)
    link("Pro", "For {{ plan }}.", variables=[PLAN])
    threads.update_thread(principal=principal, thread_id=thread.id, metadata={"language": "de", "plan": "team"})

    def run(**metadata: str) -> tuple[str, list[str]]:
        begun = creation.create_run(
            principal=principal, thread_id=thread.id, assistant_id=assistant.id, metadata=metadata
        )
        over(begun.run)
        return frozen(begun.run)

    assert run() == ("I am German.", ["German"])
    assert run(language="fr") == ("For team.", ["Pro"])
    assert run(language="fr", plan="pro") == ("For pro.", ["Pro"])
    assert Run.objects.count() == 3


def test_instructions_of_a_run_leave_no_prompt(link: Link, begin: Callable[..., Run]) -> None:
    link("Main")
    assert frozen(begin(instructions="Only this.")) == ("Only this.", [])


def test_without_any_that_fits_it_is_the_assistant_as_it_was(link: Link, begin: Callable[..., Run]) -> None:
    link("German", conditions={"language": ["de"]})
    link("Off", is_enabled=False)
    assert frozen(begin()) == ("Be brief.", [])


def test_a_thread_keeps_its_prompt_and_runs_share_configurations(
    link: Link, principal: Principal, assistant: Assistant
) -> None:
    link("A", weight=50)
    link("B")
    got: dict[str, list[str]] = {}
    for _ in range(24):
        thread = threads.create_thread(principal=principal, messages=[{"role": "user", "content": "Hello?"}])
        for _ in range(2):
            begun = creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id)
            over(begun.run)
            got.setdefault(thread.id, []).extend(frozen(begun.run)[1])
    assert all(first == second for first, second in got.values())
    assert set(Counter(first for first, _ in got.values())) == {"A", "B"}
    assert RunConfiguration.objects.count() == 2


def test_a_persons_role_decides_and_a_key_says_for_whom_it_asks(
    link: Link, principal: Principal, assistant: Assistant, bob: User
) -> None:
    link("Staff", conditions={"user_group": ["analyst"]})
    analyst = principal_of_membership(Membership.objects.get(user=bob))

    def run(who: Principal, **metadata: str) -> list[str]:
        message = {"role": "user", "content": "Hello?"}
        made = threads.create_thread(principal=who, messages=[message])
        begun = creation.create_run(principal=who, thread_id=made.id, assistant_id=assistant.id, metadata=metadata)
        return frozen(begun.run)[1]

    assert run(analyst) == ["Staff"]
    assert run(principal) == []
    assert run(principal, user_group="analyst") == ["Staff"]


def test_the_clock_decides(link: Link, assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    link("Day", conditions={"time": {"from": "08:00", "to": "18:00", "timezone": "Europe/Berlin"}})
    for hour, expected in ((6, "Be brief."), (7, "I am Day."), (16, "I am Day."), (17, "Be brief.")):
        instant = datetime(2026, 11, 20, hour, tzinfo=UTC)
        monkeypatch.setattr("assistants.resolution.timezone.now", lambda instant=instant: instant)
        assert resolved(assistant) == expected


def test_a_label_that_moves_changes_the_draft_and_no_version(
    link: Link, owner: Principal, assistant: Assistant
) -> None:
    prompt = link("Main", "One.", label="production")
    link("Other", "Eins.", kind="secondary")
    version = versions.publish(principal=owner, assistant_id=assistant.id)
    library.add_version(principal=owner, prompt_id=prompt.id, template="Two.")
    assert resolved(assistant) == "One.\n\nEins."
    library.move_label(principal=owner, prompt_id=prompt.id, name="production", version="2")
    other = Prompt.objects.get(name="Other")
    library.add_version(principal=owner, prompt_id=other.id, template="Zwei.")
    links.unlink_prompt(principal=owner, assistant_id=assistant.id, name=other.id)
    assert resolved(assistant) == "Two."
    then = resolve(assistant=assistant, environment=None, thread_id="thread_1", variables={}, version=version)
    assert then.instructions == "One.\n\nEins."
    assert [(used["name"], used["number"]) for used in then.prompts] == [("Main", 1), ("Other", 1)]


def test_uneven_weights_are_not_published(link: Link, owner: Principal, assistant: Assistant) -> None:
    link("A", weight=50)
    with pytest.raises(Exception, match="are 50 together and have to be 100"):
        versions.publish(principal=owner, assistant_id=assistant.id)
    link("B", weight=50)
    assert versions.publish(principal=owner, assistant_id=assistant.id).number == 1


def test_prompts_cost_two_questions_however_many_there_are(
    link: Link, assistant: Assistant, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert resolved(assistant) == "Be brief."
    for number in range(6):
        link(f"P{number}", priority=number, **([{}, {"label": "production"}, {"version": 1}][number % 3]))
    with django_assert_num_queries(2):
        assert resolved(assistant) == "I am P5."
