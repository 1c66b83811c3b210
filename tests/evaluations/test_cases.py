"""Cases: written, taken from files, made of runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from assistants.models import Assistant
from runs.evaluations import importing, services
from runs.evaluations.models import MAXIMUM_CASES, EvaluationCase, EvaluationSet
from runs.models import Run
from runs.services.creation import create_thread_and_run
from sovereign.accounts.models import AuditEvent, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from threads.models import Message
from threads.services import add_messages, lock_threads

pytestmark = pytest.mark.django_db


def imported(principal: Principal, evaluation: EvaluationSet, format: str, content: str, **how: Any) -> list[Any]:
    cases = importing.read(format, content)
    return services.import_cases(principal=principal, set_id=evaluation.id, cases=cases, **how)


def test_a_case_is_complete_whatever_is_left_out(principal: Principal, evaluation: EvaluationSet) -> None:
    made = services.create_case(principal=principal, set_id=evaluation.id, input="Who?\nAnd why?", reference="Me.")
    assert (made.name, made.position) == ("Who?", 1)
    assert made.messages == [{"role": "user", "content": "Who?\nAnd why?"}]
    assert made.checks == [{"type": "similarity"}]
    evaluation.refresh_from_db()
    assert evaluation.revision == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "either 'input' or 'messages'"),
        ({"input": "a", "messages": [{"role": "user", "content": "a"}]}, "either 'input' or 'messages'"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "the last one has to be the user's"),
        ({"input": "a"}, "needs 'checks', or a 'reference'"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "file-0"}}]}
                ],
                "reference": "a",
            },
            "file-0",
        ),
    ],
)
def test_a_case_that_asks_or_checks_nothing_is_refused(
    principal: Principal, evaluation: EvaluationSet, data: dict[str, Any], words: str
) -> None:
    with pytest.raises(ApiError, match=words):
        services.create_case(principal=principal, set_id=evaluation.id, **data)
    assert not EvaluationCase.objects.exists()


def test_what_is_changed_of_a_case_is_checked_as_a_whole(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    case = add_case("First?", reference="Good.")
    names = {"principal": principal, "set_id": evaluation.id, "case_id": case.id}
    changed = services.update_case(**names, input="Second?")
    assert changed.messages == [{"role": "user", "content": "Second?"}]
    assert (changed.reference, changed.checks) == ("Good.", [{"type": "exact", "value": "Paris"}])
    with pytest.raises(ApiError, match="there is none"):
        services.update_case(**names, reference="", checks=[{"type": "exact"}])
    with pytest.raises(ApiError) as refused:
        services.update_case(**{**names, "case_id": "evcase_0"}, name="a")
    assert refused.value.status == 404
    case.refresh_from_db()
    assert case.reference == "Good."


# ------------------------------------------------------------------------------------------ files


def test_jsonl_has_a_case_in_each_line(principal: Principal, evaluation: EvaluationSet) -> None:
    lines = [
        {"input": "One?", "reference": "1"},
        {"messages": [{"role": "user", "content": "Two?"}], "checks": [{"type": "exact", "value": "2"}], "name": "two"},
    ]
    content = "\ufeff" + "\n\n".join(orjson.dumps(line).decode() for line in lines) + "\r\n"
    made = imported(principal, evaluation, "jsonl", content)
    assert [case.name for case in made] == ["One?", "two"]
    assert [case.position for case in EvaluationCase.objects.of(evaluation.id)] == [1, 2]
    evaluation.refresh_from_db()
    assert evaluation.revision == 1


def test_a_csv_has_checks_in_columns(principal: Principal, evaluation: EvaluationSet) -> None:
    content = (
        "name,input,reference,contains,regex,similarity,judge,variable:language,checks\r\n"
        'hours,"When, on Saturdays?",9 to 13,9| 13,\\d+,0.7,It is polite.,de,"[{""type"": ""exact""}]"\r\n'
        "plain,Who?,Me.,,,,,,\r\n"
        ",,,,,,,,\r\n"
    )
    hours, plain = imported(principal, evaluation, "csv", content)
    assert hours.messages == [{"role": "user", "content": "When, on Saturdays?"}]
    assert hours.checks == [
        {"type": "exact", "case_sensitive": True},
        {"type": "contains", "values": ["9", "13"], "mode": "all", "case_sensitive": False},
        {"type": "regex", "pattern": "\\d+", "case_sensitive": True},
        {"type": "similarity", "at_least": 0.7},
        {"type": "judge", "criterion": "It is polite.", "at_least": 0.7},
    ]
    assert (hours.variables, plain.variables) == ({"language": "de"}, {})
    assert plain.checks == [{"type": "similarity"}]


def test_a_spreadsheet_with_semicolons_and_decimal_commas_is_read(
    principal: Principal, evaluation: EvaluationSet
) -> None:
    (case,) = imported(principal, evaluation, "csv", "input;reference;similarity\nWer?;Ich, natürlich.;0,5\n")
    assert (case.reference, case.checks) == ("Ich, natürlich.", [{"type": "similarity", "at_least": 0.5}])


@pytest.mark.parametrize(
    ("format", "content", "words"),
    [
        ("jsonl", "{", "line 1: this is no JSON"),
        ("jsonl", '{"input": "a", "reference": "b"}\n{"input": 1}', "line 2: Invalid type for 'input'"),
        ("jsonl", '{"input": "a", "reference": "b"}\n[]', "line 2: "),
        ("jsonl", '{"input": "a", "refrence": "b"}', "line 1: Unknown parameter: 'refrence'"),
        ("jsonl", "\n\n", "no case in it"),
        ("csv", "input,wrong\na,b\n", "a column 'wrong'. Known are: name, input"),
        ("csv", "input,input\na,b\n", "two columns have the same name"),
        ("csv", "input,reference\na\n", "line 2: it has not as many fields"),
        ("csv", "input,reference\na,b,c\n", "line 2: it has not as many fields"),
        ("csv", "input,reference\na,b\nc,\n", "line 3: A case needs 'checks'"),
        ("csv", 'input,reference\n"a,b\n', "unexpected end of data"),
        ("csv", "input,similarity,reference\na,much,b\n", "line 2: Invalid type for 'checks[0].at_least'"),
        ("csv", "input,checks\na,[\n", "line 2: the field 'checks' is no JSON"),
        ("csv", 'input,checks,exact\na,"{}",b\n', "line 2: Invalid type for 'checks'"),
        ("csv", "", "no case in it"),
        ("csv", f"input,{'a' * 400_000}\nb,c\n", "field larger than field limit"),
        ("csv", "input,regex\na,(\n", "line 2: this regular expression cannot be used: missing )"),
        ("csv", "input,regex\na,b\nc,(\n", "line 3: this regular expression cannot be used"),
        ("csv", "input,exact\na\x00,b\n", "a character that is not allowed"),
        ("jsonl", '{"input": "a", "reference": "b"}\n' * (MAXIMUM_CASES + 1), "more than 1,000 cases"),
    ],
)
def test_a_file_is_taken_whole_or_not_at_all_and_the_line_is_told(
    principal: Principal, evaluation: EvaluationSet, format: str, content: str, words: str
) -> None:
    with pytest.raises(ApiError, match=re.escape(words)):
        imported(principal, evaluation, format, content)
    assert not EvaluationCase.objects.exists()


def test_a_file_may_replace_what_is_there_and_a_set_is_never_overfull(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    add_case("Old?")
    full = '{"input": "a", "reference": "b"}\n' * MAXIMUM_CASES
    with pytest.raises(ApiError, match="at most 1,000 cases"):
        imported(principal, evaluation, "jsonl", full)
    assert [str(case) for case in EvaluationCase.objects.of(evaluation.id)] == ["Old?"]
    imported(principal, evaluation, "jsonl", full, replace=True)
    assert EvaluationCase.objects.of(evaluation.id).filter(name="a").count() == MAXIMUM_CASES


# ------------------------------------------------------------------------------------------ of runs


@pytest.fixture
def answered(principal: Principal, assistant: Assistant) -> Run:
    """A run that has answered the second question of a conversation, which went on after it."""
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "The capital"}, {"type": "text", "text": "of France?"}]},
    ]
    thread = {"messages": said, "metadata": {"language": "en", "user_group": "a"}}
    run = create_thread_and_run(
        principal=principal, assistant_id=assistant.id, thread=thread, metadata={"user_group": "b"}
    ).run
    locked = lock_threads([run.thread_id])[run.thread_id]
    add_messages(locked, [{"role": "assistant", "content": "Paris."}, {"role": "user", "content": "And of Spain?"}])
    Message.objects.filter(thread=locked, position=4).update(run_id=run.id, assistant_id=assistant.id)
    Run.objects.filter(pk=run.pk).update(status="completed")
    return run


def test_a_run_becomes_a_case(principal: Principal, evaluation: EvaluationSet, answered: Run) -> None:
    case = services.case_from_run(principal=principal, set_id=evaluation.id, run_id=answered.id)
    assert [message["role"] for message in case.messages] == ["user", "assistant", "user"]
    assert case.messages[0]["content"] == "Hello?"
    assert case.messages[2]["content"][1] == {"type": "text", "text": "of France?"}
    assert (case.reference, case.checks, case.source_run_id) == ("Paris.", [{"type": "similarity"}], answered.id)
    assert case.variables == {"language": "en", "user_group": "b"}
    assert case.name == "The capital of France?"


def test_only_an_answer_becomes_a_case(principal: Principal, evaluation: EvaluationSet, answered: Run) -> None:
    Run.objects.filter(pk=answered.pk).update(status="failed")
    with pytest.raises(ApiError, match="has no answer"):
        services.case_from_run(principal=principal, set_id=evaluation.id, run_id=answered.id)
    Run.objects.filter(pk=answered.pk).update(status="completed")
    Message.objects.filter(run_id=answered.pk).update(content=[])
    with pytest.raises(ApiError, match="has no answer"):
        services.case_from_run(principal=principal, set_id=evaluation.id, run_id=answered.id)


def test_who_does_not_see_a_run_makes_no_case_of_it_and_a_reading_is_noted(
    principal: Principal, analyst: Principal, evaluation: EvaluationSet, answered: Run, bob: User
) -> None:
    services.case_from_run(principal=analyst, set_id=evaluation.id, run_id=answered.id)
    reading = AuditEvent.objects.get(action="thread.read")
    assert (reading.object_id, reading.user_id) == (answered.thread_id, bob.pk)
    key = Principal(project_id=principal.project_id, key_id="key_1", scopes=principal.scopes - {"conversations:read"})
    with pytest.raises(ApiError) as refused:
        services.case_from_run(principal=key, set_id=evaluation.id, run_id=answered.id)
    assert refused.value.status == 404
