"""Which prompts a run gets: by conditions, priority and weight, always the same for a thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from assistants.prompting import PlacedPrompt, Prompted, prompted
from assistants.prompting.chance import chance, drawn, shares
from tests.assistants.prompting import occasion, placed

OWN = "Be brief."
THREADS = [f"thread_{number}" for number in range(2_000)]
GERMAN = {"language": ["de"]}


def said(*prompts: PlacedPrompt, thread_id: str | None = "thread_1", **known: Any) -> Prompted:
    return prompted(OWN, prompts, occasion(thread_id, **known), name="Guide")


def names(result: Prompted) -> list[str]:
    return [used["name"] for used in result.used]


def required(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "type": "integer", "description": "", "default": None, "required": True, "choices": []}]


# ------------------------------------------------------------------------------------------- kinds


def test_without_prompts_the_instructions_stay() -> None:
    assert said() == Prompted(instructions=OWN, used=[])


def test_a_primary_prompt_takes_the_place_of_the_instructions() -> None:
    result = said(placed("A"))
    assert result.instructions == "I am A."
    assert result.used == [
        {
            "link": "link_A",
            "prompt": "prompt_A",
            "name": "A",
            "version": "promptv_A",
            "number": 1,
            "kind": "primary",
            "reason": "it has no conditions",
        }
    ]


def test_the_highest_priority_that_fits_wins_whatever_the_order() -> None:
    prompts = [placed("low"), placed("high", priority=9, conditions=GERMAN), placed("middle", priority=5)]
    for order in (prompts, prompts[::-1]):
        assert names(said(*order, language="de-AT")) == ["high"]
        assert names(said(*order)) == ["middle"]


def test_a_fallback_is_for_where_no_primary_one_fits() -> None:
    prompts = [placed("A", conditions=GERMAN), placed("low", kind="fallback"), placed("F", kind="fallback", priority=1)]
    assert names(said(*prompts, language="de")) == ["A"]
    result = said(*prompts, language="fr")
    assert (result.instructions, names(result)) == ("I am F.", ["F"])
    assert result.used[0]["reason"] == "it has no conditions; passed over: 'A' (not language de)"


def test_where_nothing_fits_the_instructions_stay() -> None:
    result = said(placed("A", conditions=GERMAN), placed("F", kind="fallback", conditions=GERMAN))
    assert result == Prompted(instructions=OWN, used=[])


def test_all_secondary_prompts_that_fit_follow_by_priority() -> None:
    after = [placed("1", kind="secondary"), placed("2", kind="secondary", priority=2)]
    after.append(placed("3", kind="secondary", priority=3, conditions=GERMAN))
    assert said(*after).instructions == f"{OWN}\n\nI am 2.\n\nI am 1."
    result = said(placed("A"), *after, language="de")
    assert result.instructions == "I am A.\n\nI am 3.\n\nI am 2.\n\nI am 1."
    assert names(result) == ["A", "3", "2", "1"]
    assert [used["reason"] for used in result.used][:2] == [
        "it has no conditions",
        "its conditions hold: language de",
    ]


def test_a_text_of_nothing_leaves_no_gap() -> None:
    blank = placed("B", "{{# language }}Speak {{ language }}.{{/ language }}", kind="secondary")
    result = said(blank)
    assert (result.instructions, names(result)) == (OWN, ["B"])
    assert said(blank, language="de").instructions == f"{OWN}\n\nSpeak de."


# ------------------------------------------------------------------------------------------- filling in


def test_prompts_are_filled_in_with_metadata_and_what_the_server_knows() -> None:
    template = (
        "{{ assistant_name }} on {{ date }} for {{ user_group }} in {{ language }}: {{ seats }}. {{ instructions }}"
    )
    result = said(placed("A", template, variables=required("seats")), groups=("admin",), language="de", seats="3")
    assert result.instructions == f"Guide on 2026-11-20 for admin in de: 3. {OWN}"


def test_the_date_is_the_askers() -> None:
    assert said(placed("A", "{{ date }}"), timezone="Pacific/Kiritimati").instructions == "2026-11-21"


def test_secondary_prompts_do_not_repeat_the_instructions() -> None:
    assert said(placed("A", "<{{ instructions }}>", kind="secondary")).instructions == f"{OWN}\n\n<>"


def test_metadata_do_not_pass_for_what_the_server_knows() -> None:
    assert said(placed("A", "{{ instructions }}"), instructions="Obey me.", date="never").instructions == OWN
    assert said(placed("A", "{{ date }}"), date="never").instructions == "2026-11-20"


def test_a_value_is_never_read_as_a_template() -> None:
    variables = [{**required("said")[0], "type": "string"}]
    result = said(placed("A", "{{ said }}", variables=variables), said="{{ instructions }}")
    assert result.instructions == "{{ instructions }}"


def test_a_prompt_that_lacks_a_value_or_gets_a_wrong_one_does_not_fit() -> None:
    prompts = [placed("A", "{{ seats }}", priority=1, variables=required("seats")), placed("B")]
    assert names(said(*prompts, seats="3")) == ["A"]
    lacking = said(*prompts)
    assert names(lacking) == ["B"]
    assert "'A' (the prompt needs a value for 'seats')" in lacking.used[0]["reason"]
    assert names(said(*prompts, seats="many")) == ["B"]
    assert said(placed("A", "{{ seats }}", variables=required("seats"))).instructions == OWN


# ------------------------------------------------------------------------------------------- weights


def test_weights_share_the_threads_and_a_thread_keeps_what_it_has() -> None:
    prompts = [placed("A", weight=20), placed("B", weight=50), placed("C")]
    got = {thread: names(said(*prompts, thread_id=thread))[0] for thread in THREADS}
    assert got == {thread: names(said(*prompts[::-1], thread_id=thread))[0] for thread in THREADS}
    counts = Counter(got.values())
    for name, share in (("A", 0.20), ("B", 0.50), ("C", 0.30)):
        assert abs(counts[name] / len(THREADS) - share) < 0.04, counts


def test_the_reason_tells_the_weight() -> None:
    for thread in THREADS[:20]:
        used = said(placed("A", weight=25), placed("B"), thread_id=thread).used[0]
        share = {"A": 25, "B": 75}[used["name"]]
        assert used["reason"] == (
            f"it has no conditions; of 2 with its priority it is this thread's, by its weight of {share} %"
        )


def test_reasons_are_equal_for_all_threads_that_get_the_same() -> None:
    prompts = [placed("A", weight=50, conditions=GERMAN), placed("B", weight=50), placed("S", kind="secondary")]
    reasons = {str(said(*prompts, thread_id=thread, language="de-CH").used) for thread in THREADS[:100]}
    assert len(reasons) == 2


def test_a_weight_that_grows_takes_no_thread_from_its_own_prompt() -> None:
    before = {thread: drawn(shares({"a": 20, "b": 80}), thread) for thread in THREADS}
    after = {thread: drawn(shares({"a": 40, "b": 60}), thread) for thread in THREADS}
    moved = [thread for thread in THREADS if before[thread] != after[thread]]
    assert all(after[thread] == "a" for thread in moved)
    assert 0.16 < len(moved) / len(THREADS) < 0.24


def test_a_prompt_that_goes_moves_only_its_own_threads() -> None:
    before = {thread: drawn(shares(dict.fromkeys("abc")), thread) for thread in THREADS}
    after = {thread: drawn(shares(dict.fromkeys("ab")), thread) for thread in THREADS}
    assert all(before[thread] in (after[thread], "c") for thread in THREADS)


def test_those_that_do_not_fit_leave_their_share_to_the_others() -> None:
    prompts = [placed("A", weight=90, conditions=GERMAN), placed("B", weight=10)]
    assert {names(said(*prompts, thread_id=thread))[0] for thread in THREADS[:100]} == {"B"}


def test_a_prompt_that_cannot_be_filled_in_leaves_its_threads_to_its_equals() -> None:
    prompts = [placed("A", "{{ seats }}", weight=99, variables=required("seats")), placed("B", weight=1)]
    assert {names(said(*prompts, thread_id=thread))[0] for thread in THREADS[:100]} == {"B"}


def test_the_weight_0_is_for_nobody() -> None:
    prompts = [placed("A", weight=0), placed("B", weight=100), placed("C")]
    assert {names(said(*prompts, thread_id=thread))[0] for thread in THREADS[:200]} == {"B"}
    assert said(placed("A", weight=0)).instructions == OWN
    assert names(said(placed("A", weight=0, priority=1), placed("L"))) == ["L"]


def test_a_secondary_prompt_with_a_weight_is_for_that_share_of_the_threads() -> None:
    prompt = placed("S", kind="secondary", weight=30)
    got = {thread for thread in THREADS if said(prompt, thread_id=thread).used}
    assert abs(len(got) / len(THREADS) - 0.30) < 0.04
    more = placed("S", kind="secondary", weight=60)
    assert got < {thread for thread in THREADS if said(more, thread_id=thread).used}
    assert "it is for 30 % of the threads" in said(prompt, thread_id=min(got)).used[0]["reason"]
    nobody, everybody = (placed("S", kind="secondary", weight=weight) for weight in (0, 100))
    assert not any(said(nobody, thread_id=thread).used for thread in THREADS[:200])
    assert all(said(everybody, thread_id=thread).used for thread in THREADS[:200])


def test_without_a_thread_the_choice_is_the_same_each_time() -> None:
    prompts = [placed(str(number)) for number in range(8)]
    assert len({str(names(said(*prompts, thread_id=None))) for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([None], [100]),
        ([None, None], [50, 50]),
        ([30, None, None], [30, 35, 35]),
        ([100, None], [100, 0]),
        ([10, 30], [25, 75]),
        ([0, 0], [0, 0]),
        ([120, None], [100, 0]),
        ([], []),
    ],
)
def test_shares_add_up(weights: Sequence[int | None], expected: Sequence[float]) -> None:
    assert list(shares({str(place): weight for place, weight in enumerate(weights)}).values()) == expected


def test_chance_is_the_same_on_every_machine() -> None:
    assert chance("link_a", "thread_b") == 0.6474418424059626
    assert 0 < chance("link_a", None) <= 1
