"""The order in which an assistant's prompts are looked at: by the service, and by the page that calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant, PromptLink
from assistants.prompting import placed_prompts
from assistants.services import links, update_assistant
from sovereign.accounts.models import AuditEvent, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.assistants.linking import a_prompt
from tests.web.conftest import EVIL, EVIL_MARKS, assistant, model, principal, visit

pytestmark = pytest.mark.django_db
__all__ = ["assistant", "model", "principal", "visit"]
Link = Callable[..., PromptLink]


@pytest.fixture
def link(principal: Principal, assistant: Assistant) -> Link:
    def make(name: str, **placing: Any) -> PromptLink:
        prompt = a_prompt(principal, name, "Be kind.")
        return links.link_prompt(principal=principal, assistant_id=assistant.pk, prompt_id=prompt.pk, **placing)

    return make


def order(assistant: Assistant, kind: str = "primary") -> list[str]:
    """As a run looks at them: the highest priority first, and of equals as they come."""
    found = [one for one in placed_prompts(assistant.pk) if one.kind == kind]
    return [one.prompt_name for one in sorted(found, key=lambda one: -one.priority)]


def page(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_prompts", args=[quote(assistant.pk)])


def test_each_gets_a_place_of_its_own(principal: Principal, assistant: Assistant, link: Link) -> None:
    first, second, third = (link(name, priority=5) for name in "ABC")
    other = link("Fallback", kind="fallback", priority=7)
    wanted = [third.pk, first.pk, second.pk]
    links.order_links(principal=principal, assistant_id=assistant.pk, kind="primary", names=wanted)
    assert order(assistant) == ["C", "A", "B"]
    assert sorted(PromptLink.objects.filter(kind="primary").values_list("priority", flat=True)) == [0, 1, 2]
    other.refresh_from_db()
    assert other.priority == 7
    told = AuditEvent.objects.get(action="assistant.prompts_ordered")
    assert (told.object_id, told.details["links"]) == (assistant.pk, wanted)


def test_those_that_share_by_weight_stay_together(principal: Principal, assistant: Assistant, link: Link) -> None:
    half, rest, alone = link("Half", weight=50), link("Rest"), link("Alone", priority=1)
    for names in ([half.pk, alone.pk, rest.pk], [rest.pk, alone.pk, half.pk]):
        with pytest.raises(ApiError) as refused:
            links.order_links(principal=principal, assistant_id=assistant.pk, kind="primary", names=names)
        assert refused.value.code == "weights_share_a_place"
    links.order_links(
        principal=principal, assistant_id=assistant.pk, kind="primary", names=[rest.pk, half.pk, alone.pk]
    )
    priorities = dict(PromptLink.objects.values_list("prompt__name", "priority"))
    assert priorities == {"Half": 1, "Rest": 1, "Alone": 0}


@pytest.mark.parametrize("broken", ["less", "more", "twice"])
def test_an_order_is_of_all_of_them(broken: str, principal: Principal, assistant: Assistant, link: Link) -> None:
    first, second = link("A"), link("B")
    names = {"less": [first.pk], "more": [first.pk, second.pk, "link_0"], "twice": [first.pk, first.pk]}[broken]
    with pytest.raises(ApiError) as refused:
        links.order_links(principal=principal, assistant_id=assistant.pk, kind="primary", names=names)
    assert (refused.value.status, refused.value.code) == (409, "order_conflict")


def test_buttons_and_dragging_put_them_in_order(
    alice: User, assistant: Assistant, link: Link, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    made = [link(name, priority=3 - place) for place, name in enumerate("ABC")]
    answer = client.post(page(assistant), {"move": f"{made[2].pk}:up"})
    assert (answer.status_code, answer["Location"]) == (302, f"{page(assistant)}#moved-up-{made[2].pk}")
    assert order(assistant) == ["A", "C", "B"]
    client.post(page(assistant), {"move": f"{made[0].pk}:down"})
    assert order(assistant) == ["C", "A", "B"]
    client.post(page(assistant), {"move": f"{made[2].pk}:up"})  # it is the first already
    assert order(assistant) == ["C", "A", "B"]
    client.post(page(assistant), {"order": ",".join(one.pk for one in made)})
    assert order(assistant) == ["A", "B", "C"]
    shown = client.get(page(assistant)).content.decode()
    assert f'id="up-{made[0].pk}" aria-label="Move A up" disabled' in shown
    assert f'id="down-{made[2].pk}" aria-label="Move C down" disabled' in shown
    for wrong in ({"move": "link_0:up"}, {"order": ""}, {"order": made[0].pk}, {"move": ":"}):
        answer = client.post(page(assistant), wrong)
        assert answer.status_code == 302
        assert [str(message) for message in get_messages(answer.wsgi_request)], wrong
    assert AuditEvent.objects.filter(action="assistant.order_prompts_refused").exists()
    assert order(assistant) == ["A", "B", "C"]


def test_who_may_not_change_the_assistant_changes_no_order(
    alice: User, charlie: User, principal: Principal, assistant: Assistant, link: Link, visit: Callable[[User], Client]
) -> None:
    first, second = link(EVIL, priority=1), link("B")
    assert visit(charlie).post(page(assistant), {"move": f"{second.pk}:up"}).status_code == 404
    shown = visit(alice).get(page(assistant)).content.decode()
    assert not any(mark in shown for mark in EVIL_MARKS)
    update_assistant(principal=principal, assistant_id=assistant.pk, status="archived")
    assert "prompt-order" not in visit(alice).get(page(assistant)).content.decode()
    visit(alice).post(page(assistant), {"move": f"{second.pk}:up"})
    assert order(assistant) == [first.prompt.name, "B"]
