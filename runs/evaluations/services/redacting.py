"""What evaluations keep of a message that is redacted: cases that were made of its runs, and what came of these.

A case says what its run's thread said; each of its results keeps the case, has a thread on which it is said again, and
an answer. People may have put the words otherwise since: what of a case still is the message's whole text goes. What is
said in few words ("Yes.") is said by others as well: of messages that say the same the one in the same place goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import Q

from runs.evaluations.models import NAME_LENGTH, EvaluationCase, EvaluationResult, EvaluationSet
from runs.evaluations.services.progress import CASE, EVALUATION_RUN
from runs.evaluations.shapes import title_of
from runs.models import Run
from runs.services.redacting import TOGETHER
from sovereign.core.errors import ApiError
from threads.models import Message
from threads.querysets import MessageQuerySet
from threads.redaction import MARK

Status = EvaluationResult.Status
OPEN = (Status.RUNNING, Status.CHECKING)
WORDS = ("name", "messages", "reference", "checks", "variables")  # of a case
LONG = 20  # characters: of fewer nobody knows whether they stand in another text because of the message
NAMES = frozenset({"type", "role", "mode", "detail", "file_id"})  # whose values are no words of anybody


class Place(NamedTuple):
    """Where a message stands in a case.

    :ivar back: see :func:`_back`.
    :ivar is_of_case: it is asked there, or is the answer that the case was made of.
    """

    back: int
    is_of_case: bool


def taken_over(message: Message) -> Iterator[str]:
    """The messages in whose place the same is asked: on the threads of a case's results, and on that which it was made
    of. What an assistant answers there is its own, also where it says the same."""
    cases = list(_cases(message))
    results = _results(message, cases)
    for case in cases:
        asked = _asked(message, case.source_run_id, _of(case.pk, results))
        if back := _back(message, asked):
            yield from (same[-back].pk for same in asked if len(same) >= back and same[-back].redacted_at is None)


def told_in(message: Message) -> Iterator[list[str]]:
    """Answers with the message's cases."""
    yield from ([case.pk] for case in _cases(message))


def redact_cases_of(message: Message) -> list[str]:
    """Take a message's words out of cases and results.

    :returns: the ids of the cases.
    :raises ApiError: 400, an answer to it is just being waited for or checked.
    """
    cases = list(_cases(message))
    results = _results(message, cases)
    sets = EvaluationSet.objects.filter(pk__in={case.set_id for case in cases}).order_by("id")
    locked = list(sets.select_for_update(no_key=True))
    sources = {case.pk: case.source_run_id for case in cases}
    places = {
        case_id: _place(message, sources.get(case_id), _of(case_id, results))
        for case_id in {*sources, *(result.case_id for result in results)}
    }
    changed = [case for case in cases if _take(case, message, places[case.pk])]
    for owner in locked:
        if any(case.set_id == owner.pk for case in changed):
            owner.revision += 1  # runs of it from before are no runs of it as it is now
            owner.save(update_fields=["revision", "updated_at"])
    for result in results:
        _take_of_result(result, message, places[result.case_id])
    return [case.pk for case in changed]


def _of(case_id: str | None, results: list[EvaluationResult]) -> list[EvaluationResult]:
    return [result for result in results if result.case_id == case_id]


def _asked(message: Message, source_run_id: str | None, results: list[EvaluationResult]) -> list[list[Message]]:
    """On each thread on which a case is asked, or was first, the messages that say the same, or said something that
    was redacted, in their order: by then one of them may be, in the place of which another one is looked for.

    :param results: of the case.
    """
    said = [
        Message.objects.of_thread(result.thread_id).filter(position__lte=len(result.case["messages"]))
        for result in results
        if result.thread_id is not None
    ]
    if (run := Run.objects.filter(pk=source_run_id).first()) is not None:
        said.append(_before(run))
    rows = [part.filter(role=message.role).order_by("position").only("id", "content", "redacted_at") for part in said]
    same = {_words(message), MARK}
    return [[one for one in part.iterator() if one.text.strip() in same] for part in rows]


def _before(run: Run) -> MessageQuerySet:
    """What the run answers."""
    said = Message.objects.of_thread(run.thread_id)
    answer = said.filter(run_id=run.pk).order_by("position").first()
    if answer is None:  # it was deleted
        return said.filter(created_at__lte=run.created_at + TOGETHER)
    return said.filter(position__lt=answer.position)


def _back(message: Message, asked: list[list[Message]]) -> int:
    """The how manieth of them the message is, from the last one: a case of a long thread begins in its middle. 0 where
    the case does not ask it: it is an answer, or was said later."""
    return next((len(same) - same.index(message) for same in asked if message in same), 0)


def _place(message: Message, source_run_id: str | None, results: list[EvaluationResult]) -> Place:
    back = _back(message, _asked(message, source_run_id, results))
    return Place(back, back > 0 or (message.run_id is not None and message.run_id == source_run_id))


def _cases(message: Message) -> Iterator[EvaluationCase]:
    """Those that were made of a run of the message's thread, or of which a result has that thread."""
    if not _words(message):
        return
    runs = Run.objects.filter(thread_id=message.thread_id)
    tried = Q(pk__in=[result.case_id for result in _tried_on(message)])
    yield from EvaluationCase.objects.filter(
        Q(source_run_id__in=runs.values("id")) | tried, set__project_id=message.project_id
    ).order_by("id")


def _tried_on(message: Message) -> list[EvaluationResult]:
    """The results that the message's thread is of: its runs say of which evaluation they are."""
    noted = Run.objects.filter(thread_id=message.thread_id).values_list("id", "metadata")
    named = {run_id: data[EVALUATION_RUN] for run_id, data in noted if EVALUATION_RUN in data and CASE in data}
    results = EvaluationResult.objects.filter(evaluation_run__in=set(named.values()), run_id__in=list(named))
    return list(results.filter(evaluation_run__project_id=message.project_id))


def _results(message: Message, cases: list[EvaluationCase]) -> list[EvaluationResult]:
    own = _tried_on(message)
    made = EvaluationResult.objects.filter(
        evaluation_run__set__in={case.set_id for case in cases}, case_id__in=[case.pk for case in cases]
    )
    return [*own, *made.exclude(pk__in=[result.pk for result in own]).order_by("id")]


def _take(case: EvaluationCase, message: Message, place: Place) -> bool:
    """Whether there was anything to be taken out."""
    before = {name: getattr(case, name) for name in WORDS}
    after = _case_without(before, message, place)
    if after == before:
        return False
    for name, value in after.items():
        setattr(case, name, value[:NAME_LENGTH] if name == "name" else value)
    case.save(update_fields=[*WORDS, "updated_at"])
    return True


def _take_of_result(result: EvaluationResult, message: Message, place: Place) -> None:
    is_answer = message.run_id is not None and message.run_id == result.run_id
    # what another run says in the same few words is no copy of it
    answer = _taker(message, inside=1 if is_answer else LONG, whole=is_answer)(result.answer)
    case = _case_without(result.case, message, place)
    if (case, answer) == (result.case, result.answer):
        return
    if result.status in OPEN:
        raise ApiError(
            f"Can't redact this message while the evaluation {result.evaluation_run_id} asks it. Cancel it or wait.",
            code="run_active",
        )
    result.case, result.answer = case, answer
    result.verdicts = [{**verdict, "detail": MARK} for verdict in result.verdicts]  # they repeat both
    result.save(update_fields=["case", "answer", "verdicts"])


def _case_without(case: dict[str, Any], message: Message, place: Place) -> dict[str, Any]:
    """Who gave it no name has it called by what is asked."""
    without = _taker(message, whole=place.is_of_case)
    after: dict[str, Any] = without({name: value for name, value in case.items() if name != "messages"})
    after = {name: after.get(name) for name in case}
    after["messages"] = _messages_without(case["messages"], message, place)
    if case.get("name") == title_of(case["messages"]):
        after["name"] = title_of(after["messages"])
    return after


def _messages_without(messages: list[dict[str, Any]], message: Message, place: Place) -> list[dict[str, Any]]:
    """Of those that say the same in few words one is the message."""
    said = [(one["role"], _text(one["content"])) for one in messages]
    wanted = {(message.role, text) for text in (_words(message), MARK)}
    same = [number for number, one in enumerate(said) if one in wanted]
    own = same[-place.back] if 0 < place.back <= len(same) else None
    return [_taker(message, whole=number == own)(one) for number, one in enumerate(messages)]


def _text(content: str | list[dict[str, Any]]) -> str:
    """As :attr:`Message.text` is."""
    if isinstance(content, str):
        return content.strip()
    return "\n\n".join(part["text"] for part in content if part["type"] == "text").strip()


def _words(message: Message) -> str:
    return message.text.strip()


def _taker(message: Message, *, inside: int = LONG, whole: bool = True) -> Callable[[Any], Any]:
    """A function that gives a value of JSON without the message's text. Pictures of the message go with it.

    :param inside: how many characters of it are looked for within longer texts, too.
    :param whole: a text that says nothing else goes, however short it is.
    """
    texts = {text for part in message.content if part["type"] == "text" and (text := part["text"]["value"].strip())}
    texts |= {_words(message)} - {""}
    longest = sorted((text for text in texts if len(text) >= inside), key=len, reverse=True)
    words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)") if longest else None
    pictures = {part["image_file"]["file_id"] for part in message.content if part["type"] == "image_file"}

    def without(value: Any) -> Any:
        if isinstance(value, str):
            if whole and value.strip() in texts:
                return MARK
            return words.sub(lambda _: MARK, value) if words is not None else value
        if isinstance(value, Mapping):
            return {name: inner if name in NAMES else without(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [without(inner) for inner in value if not _shows(inner, pictures)]
        return value

    return without


def _shows(part: Any, pictures: set[str]) -> bool:
    if not isinstance(part, Mapping) or part.get("type") != "image_file":
        return False
    return part["image_file"].get("file_id") in pictures
