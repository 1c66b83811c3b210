"""The cases of a set: written one by one, from a file, or made of a run.

Their regular expressions are read by whoever calls, before a transaction holds others up: see
``shapes.refuse_unreadable`` and ``importing.read``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from assistants.knowledge.services import resources
from runs.evaluations.models import MAXIMUM_CASES, EvaluationCase, EvaluationSet
from runs.evaluations.services.sets import get_set, locked_set_of_cases
from runs.evaluations.shapes import MOST_MESSAGES, OURS, OWN_PAIRS, USUAL_CHECKS, described
from runs.models import Run
from runs.states import Status
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_READ
from sovereign.core import errors
from sovereign.core.api.validation import METADATA_PAIRS
from sovereign.core.database import only_row, service
from threads.models import Message
from threads.services import lock_threads, note_reading

ANSWERED = (Status.COMPLETED, Status.INCOMPLETE)


def get_case(*, principal: Principal, set_id: str, case_id: str) -> EvaluationCase:
    """:raises ApiError: 404 for the set or the case."""
    return _of(get_set(principal=principal, set_id=set_id), case_id)


@service
def create_case(*, principal: Principal, set_id: str, **data: Any) -> EvaluationCase:
    """Add a case.

    :param data: as ``shapes.CaseShape`` gives it.
    :raises ApiError: 404; 403, the set is a gate and the principal may not promote; 400, it asks or checks nothing,
        the set is full.
    """
    return _added(principal, set_id, [described(data)])[0]


@service
def import_cases(
    *, principal: Principal, set_id: str, cases: Sequence[dict[str, Any]], replace: bool = False
) -> list[EvaluationCase]:
    """Add the cases of a file: all of them, or none. Raises like :func:`create_case`.

    :param cases: as ``importing.read`` gives them.
    :param replace: in place of those that are there.
    """
    return _added(principal, set_id, cases, replace=replace)


@service
def update_case(*, principal: Principal, set_id: str, case_id: str, **data: Any) -> EvaluationCase:
    """Change what is given. Raises like :func:`create_case`."""
    changed_set = locked_set_of_cases(principal=principal, set_id=set_id)
    case = _of(changed_set, case_id)
    before = {name: getattr(case, name) for name in ("name", "messages", "reference", "checks", "variables")}
    if data.get("input"):
        before.pop("messages")
    case_data = described({**before, **data})
    _refuse_unknown_pictures(principal, [case_data])
    for name, value in case_data.items():
        setattr(case, name, value)
    case.save()
    _revise(changed_set)
    audit.record(principal, "evaluation.case_updated", changed_set, case=case.id)
    return case


@service
def delete_case(*, principal: Principal, set_id: str, case_id: str) -> None:
    """:raises ApiError: 404; 403 as :func:`create_case`."""
    changed_set = locked_set_of_cases(principal=principal, set_id=set_id)
    case = _of(changed_set, case_id)
    case.delete()
    _revise(changed_set)
    audit.record(principal, "evaluation.case_deleted", changed_set, case=case_id)


@service
def case_from_run(
    *,
    principal: Principal,
    set_id: str,
    run_id: str,
    name: str = "",
    checks: Sequence[dict[str, Any]] = (),
) -> EvaluationCase:
    """Make a case of a run: what was said before it, with its answer as the reference.

    :param checks: in place of the usual: that the answer is similar.
    :raises ApiError: 404 for the set or the run; 400, the run has no answer, or its thread is too long.
    """
    principal.require(RUNS_READ)
    runs = Run.objects.visible_to(principal).select_related("thread", "configuration")
    run: Run | None = only_row(runs.filter(pk=run_id))
    if run is not None:
        lock_threads([run.thread_id])  # of what is redacted meanwhile no case is made that the redaction does not find
    locked_set_of_cases(principal=principal, set_id=set_id)  # whose set this is not learns nothing of the run either
    if run is None:
        raise errors.not_found("run", run_id)
    note_reading(principal=principal, thread=run.thread)
    said, answer = _conversation(run)
    data = {
        "name": name,
        "messages": said,
        "reference": answer,
        "checks": [*checks] or USUAL_CHECKS,
        "variables": _variables(run),
    }
    return _added(principal, set_id, [{**described(data), "source_run_id": run.id}])[0]


# ------------------------------------------------------------------------------------------ what they share


def _added(
    principal: Principal, set_id: str, cases: Sequence[dict[str, Any]], *, replace: bool = False
) -> list[EvaluationCase]:
    changed = locked_set_of_cases(principal=principal, set_id=set_id)
    if replace:
        changed.cases.all().delete()
    if changed.cases.count() + len(cases) > MAXIMUM_CASES:
        raise errors.ApiError(
            f"A set has at most {MAXIMUM_CASES:,} cases.", param="cases", code="array_above_max_length"
        )
    _refuse_unknown_pictures(principal, cases)
    first = changed.last_position + 1
    made = [EvaluationCase(set=changed, position=first + offset, **case) for offset, case in enumerate(cases)]
    EvaluationCase.objects.bulk_create(made, batch_size=200)
    changed.last_position += len(made)
    _revise(changed)
    audit.record(principal, "evaluation.cases_added", changed, cases=len(made), replaced=replace)
    return made


def _revise(changed: EvaluationSet) -> None:
    """Runs of the set from before are no runs of it as it is now."""
    changed.revision += 1
    changed.save(update_fields=["revision", "last_position", "updated_at"])


def _refuse_unknown_pictures(principal: Principal, cases: Sequence[dict[str, Any]]) -> None:
    """:raises ApiError: 404."""
    resources.check_files(principal=principal, file_ids=[*_pictures(cases)])


def _pictures(cases: Iterable[dict[str, Any]]) -> Iterable[str]:
    for case in cases:
        for message in case["messages"]:
            parts = [] if isinstance(message["content"], str) else message["content"]
            yield from (part["image_file"]["file_id"] for part in parts if part["type"] == "image_file")


def _of(owner: EvaluationSet, case_id: str) -> EvaluationCase:
    case: EvaluationCase | None = only_row(EvaluationCase.objects.of(owner.id).filter(pk=case_id))
    if case is None:
        raise errors.not_found("case", case_id)
    case.set = owner
    return case


def _conversation(run: Run) -> tuple[list[dict[str, Any]], str]:
    """What the assistant was told before the run, and what it answered.

    :raises ApiError: 400.
    """
    answers = list(Message.objects.filter(thread_id=run.thread_id, run_id=run.id, role=Message.Role.ASSISTANT))
    answer = "\n\n".join(message.text for message in answers if message.text)
    if run.status not in ANSWERED or not answer.strip():
        raise errors.ApiError(
            f"The run '{run.id}' has no answer that a case could be made of.", param="run_id", code="run_without_answer"
        )
    before = Message.objects.filter(thread_id=run.thread_id, position__lt=answers[0].position)
    newest = list(before.order_by("-position")[:MOST_MESSAGES])[::-1]
    said = [{"role": message.role, "content": _content(message)} for message in newest]
    if not said or said[-1]["role"] != Message.Role.USER:
        raise errors.ApiError(
            f"The run '{run.id}' answers no message of a user.", param="run_id", code="run_without_question"
        )
    return said, answer


def _content(message: Message) -> str | list[dict[str, Any]]:
    """A message's content as it would be sent."""
    parts = [{"type": "text", "text": part["text"]["value"]} if part["type"] == "text" else part
             for part in message.content]  # fmt: skip
    return str(parts[0]["text"]) if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _variables(run: Run) -> dict[str, str]:
    """Those that its prompts were filled with, as far as a case has room for them; without what the product itself
    noted, such as what the thread was for."""
    noted = {**run.thread.metadata, **run.metadata}
    given = {name: value for name, value in noted.items() if not name.startswith(OURS)}
    return dict(list(given.items())[: METADATA_PAIRS - OWN_PAIRS])
