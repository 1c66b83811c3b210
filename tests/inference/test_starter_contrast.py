"""The starter's corpus of tools that are easily confused: lookups beside actions, actions beside their opposites."""

from __future__ import annotations

from random import Random

from inference.starter.corpus import contrast, heldout

SEEDS = range(400)


def test_a_request_holds_every_value_of_its_call_and_no_slot():
    for seed in SEEDS:
        random = Random(seed)
        for tool in contrast.contrasting(random):
            use = contrast.use(tool, random)
            listed = use.tool["function"]["parameters"]["properties"]
            assert set(use.arguments) <= set(listed)
            assert all(str(value) in use.question for value in use.arguments.values()), use
            assert all(
                isinstance(value, int) == (listed[key]["type"] == "integer") for key, value in use.arguments.items()
            )
            assert not set("${|}") & set(use.question + use.name + use.tool["function"]["description"]), use


def test_half_of_the_conversations_have_a_lookup_and_an_action_on_the_same_thing():
    mixed = 0
    for seed in SEEDS:
        listed = contrast.contrasting(Random(seed))
        things = {tool.words for tool in listed}
        mixed += len(things) == 1 and {tool.aspect.changes for tool in listed} == {True, False}
    assert mixed > len(SEEDS) / 2


def test_the_tools_of_a_conversation_are_told_apart_by_their_names_alone():
    for seed in SEEDS:
        listed = contrast.contrasting(Random(seed))
        assert 1 <= len(listed) <= 4
        assert len({tool.tool["function"]["name"] for tool in listed}) == len(listed)


def test_a_call_is_of_a_listed_tool_and_earlier_calls_do_not_tell_the_next():
    repeated = 0
    for seed in SEEDS:
        messages, listed = contrast.conversation(Random(seed))
        names = [message["tool_calls"][0]["function"]["name"] for message in messages if "tool_calls" in message]
        assert set(names) <= {tool["function"]["name"] for tool in listed}
        repeated += len(names) > len(set(names))
    assert repeated > len(SEEDS) / 4


def test_no_thing_is_one_that_a_tool_of_the_evaluation_is_named_after():
    nouns = {part for name in heldout.held_out_tool_names() for part in name.split("_")}
    assert {"order", "server", "plants"} <= nouns
    assert len(contrast.things()) > 400
    assert not [thing for thing in contrast.things() if nouns & set(thing.lower().split(" "))]


def test_actions_come_in_pairs_of_different_verbs_and_ask_in_more_than_one_way():
    assert len(contrast.pairs()) > 40
    for one, other in contrast.pairs():
        assert one.names != other.names
        for action in (one, other):
            assert action.changes
            assert len(action.requests) > 1
            assert all("$R" in request for request in action.requests)


def test_an_article_fits_its_word():
    words = (("$N", "oven"),)
    assert contrast.worded("open a $N", words, Random(0)) == "open an oven"
    assert contrast.worded("an $N", (("$N", "boat"),), Random(0)) == "a boat"


def test_a_description_tells_the_thing_and_a_name_is_spelled_as_tools_are():
    for seed in SEEDS:
        for tool in contrast.contrasting(Random(seed)):
            function = tool.tool["function"]
            things = {word for _, word in tool.words}
            assert any(thing.lower() in function["description"].lower() for thing in things)
            assert function["name"].replace("_", "").replace("-", "").isalnum()
