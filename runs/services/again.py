"""An answer that ended badly is gone on with, or made anew, by another run. What there is of it stays as it is.

Both are told from the rows alone: a run says which one before it ``continues`` or ``retries``. What was retried is no
part of what models are sent later; what was continued is one answer to them (:mod:`threads.answers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from runs.models import Run
from runs.services import creation
from runs.services.creation import Begun
from runs.services.environments import DRAFT, acting_in, may_choose
from runs.states import Status
from sovereign.accounts.principals import Principal
from sovereign.core import errors
from sovereign.core.database import only_row, service
from sovereign.core.errors import ApiError
from threads import services as threads
from threads.models import Message, Thread

ENDED_BADLY = frozenset({Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.INCOMPLETE})
LONGEST_CHAIN = 50  # runs that one answer is made of


@service
def continue_answer(*, principal: Principal, thread_id: str, run_id: str) -> Begun:
    """Go on from the text that a run left, with the same assistant as it is now.

    :raises ApiError: as :func:`retry` does; 400 ``nothing_to_continue``.
    """
    original = _original(principal, thread_id, run_id)
    newest = Message.objects.of_thread(thread_id).order_by("-position").first()
    if newest is None or newest.run_id != run_id or newest.status != Message.Status.INCOMPLETE or not newest.text:
        raise ApiError("There is nothing to go on from: the answer has no text.", code="nothing_to_continue")
    return _begin(principal, original, {"continues": run_id})


@service
def retry(*, principal: Principal, thread_id: str, run_id: str) -> Begun:
    """Answer the question again, as if the run had not been.

    :raises ApiError: 404; 400 ``run_not_over``, ``run_ended_well`` or ``run_not_newest``; what
        :func:`runs.services.creation.create_run` refuses.
    """
    original = _original(principal, thread_id, run_id)
    tried = _chain(run_id, marked_in(thread_id).continues)
    first = Message.objects.of_thread(thread_id).filter(run_id__in=list(tried)).order_by("position").first()
    if first is not None:
        threads.forget_summaries(thread_id, first.position)
    return _begin(principal, original, {"retries": run_id})


def _original(principal: Principal, thread_id: str, run_id: str) -> Run:
    """The run, its thread locked."""
    thread = threads.lock_thread(principal=principal, thread_id=thread_id)
    run = only_row(Run.objects.visible_to(principal).filter(pk=run_id, thread_id=thread_id))
    if run is None:
        raise errors.not_found("run", run_id)
    _refuse_unfit(thread, run)
    return run


def _refuse_unfit(thread: Thread, run: Run) -> None:
    if not run.is_over:
        raise ApiError(f"The run is still '{run.status}'.", param="run", code="run_not_over")
    if run.status not in ENDED_BADLY:
        raise ApiError("The run has answered.", param="run", code="run_ended_well")
    newest = Run.objects.filter(thread_id=thread.pk).order_by("-created_at", "-id").values_list("pk", flat=True).first()
    said = Message.objects.of_thread(thread.pk).order_by("-position").first()
    is_answered = said is not None and said.run_id != run.pk and said.created_at > run.created_at
    if newest != run.pk or is_answered:
        raise ApiError("The conversation has gone on since then.", param="run", code="run_not_newest")


def _begin(principal: Principal, original: Run, origin: Mapping[str, str]) -> Begun:
    """In the same environment, or of the same version, where its person may choose one."""
    may = may_choose(principal)
    wanted = (original.environment or DRAFT) if may else None
    was_tried = original.version_id is not None and original.deployment_id is None
    return creation.create_run(
        principal=acting_in(principal, wanted),
        thread_id=original.thread_id,
        assistant_id=original.assistant_id or "",
        version=original.version_id if may and was_tried else None,
        origin=origin,
    )


# ------------------------------------------------------------------------------------------------ what models are sent


@dataclass(frozen=True, slots=True)
class Tries:
    """What of a thread's answers belongs together, for one of its runs.

    :ivar continues: from a run to the one before it that it goes on with.
    :ivar superseded: runs whose answers were made anew.
    :ivar kept: the messages that the run goes on from, oldest first.
    """

    continues: Mapping[str, str] = field(default_factory=dict)
    superseded: frozenset[str] = frozenset()
    kept: Sequence[Message] = ()

    @property
    def text(self) -> str:
        return "".join(message.text for message in self.kept)


NO_TRIES = Tries()


def tries_of(run: Run) -> Tries:
    """One small query, and one more for a run that goes on with another."""
    tries = marked_in(run.thread_id)
    own = _chain(run.pk, tries.continues)  # what was retried later was not when this one was made
    return Tries(tries.continues, tries.superseded.difference(own), _kept(run, tries.continues))


def marked_in(thread_id: str) -> Tries:
    """As :func:`tries_of`, for whoever reads the thread as it is now: one small query."""
    marked = Run.objects.filter(thread_id=thread_id).filter(Q(continues__isnull=False) | Q(retries__isnull=False))
    rows = list(marked.values_list("pk", "continues", "retries"))
    continues = {pk: continued for pk, continued, _ in rows if continued}
    retried = [original for _, _, original in rows if original]
    return Tries(continues, frozenset(part for original in retried for part in _chain(original, continues)))


def _chain(run_id: str, continues: Mapping[str, str]) -> Iterator[str]:
    """A run and those before it that its answer begins with, the newest first."""
    for _ in range(LONGEST_CHAIN):
        yield run_id
        if run_id not in continues:
            return
        run_id = continues[run_id]


def _kept(run: Run, continues: Mapping[str, str]) -> list[Message]:
    """Of each run before it the message that broke off: its last one."""
    if run.continues is None:
        return []
    parts = set(_chain(run.continues, continues))
    broken = Message.objects.of_thread(run.thread_id).filter(run_id__in=parts, status=Message.Status.INCOMPLETE)
    return list(broken.order_by("position"))
