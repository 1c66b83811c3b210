"""What visitors of an embed do: they ask its assistant, and nothing else. See :mod:`assistants.embeds`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from assistants.embeds.services import Visit, count_message
from runs.models import Run
from runs.services import again
from runs.services.creation import Begun, create_run, create_thread_and_run
from runs.states import ACTIVE
from sovereign.core.database import service
from sovereign.core.errors import ApiError
from threads.services import lock_thread

MOST_AT_ONCE = 3  # answers that are made for one visitor: else one of them alone could keep every worker busy
HOW = {"continue": again.continue_answer, "retry": again.retry}
#: what is said of a visitor's own run, and of nothing inside
OF_THEIR_RUN = frozenset({"nothing_to_continue", "run_not_over", "run_ended_well", "run_not_newest"})
FULL = "thread_too_long"


@service
def ask(*, visit: Visit, text: str, thread_id: str | None = None) -> Begun:
    """A question, and the run that answers it, on the visitor's thread or on a new one; counted in one transaction.

    Nothing of the run is the visitor's to choose: the assistant, its version and its environment are the embed's.

    :raises ApiError: 404 for a thread that is not theirs; 429, over a limit; 400, too long, or an answer is written;
        409 ``not_answering``, for whatever reason there is inside.
    """
    _count(visit, text)
    message = {"role": "user", "content": text}
    assistant_id = visit.embed.assistant_id
    if thread_id is None:
        with concealed():
            return create_thread_and_run(
                principal=visit.principal, assistant_id=assistant_id, thread={"messages": [message]}
            )
    lock_thread(principal=visit.principal, thread_id=thread_id)
    with concealed():
        return create_run(
            principal=visit.principal, thread_id=thread_id, assistant_id=assistant_id, additional_messages=[message]
        )


@service
def go_on(*, visit: Visit, thread_id: str, run_id: str, how: str) -> Begun:
    """Continue the answer of the visitor's newest run, or make it anew: it costs as much as a question.

    :param how: one of ``HOW``.
    :raises ApiError: as :func:`ask` does, and what :mod:`runs.services.again` refuses.
    """
    _count(visit)
    lock_thread(principal=visit.principal, thread_id=thread_id)
    if not Run.objects.visible_to(visit.principal).filter(pk=run_id, thread_id=thread_id).exists():
        raise ApiError("There is no such answer.", status=HTTPStatus.NOT_FOUND, param="run")
    with concealed():
        return HOW[how](principal=visit.principal, thread_id=thread_id, run_id=run_id)


def _count(visit: Visit, text: str = "") -> None:
    """:raises ApiError: 400, 404, 429. The visitor's row is locked from here on: they ask one thing after the other."""
    count_message(visit=visit, text=text)
    at_work = Run.objects.visible_to(visit.principal).filter(status__in=ACTIVE)
    if at_work.count() >= MOST_AT_ONCE:
        raise _too_many("Your earlier questions are still being answered.", {"Retry-After": "5"})


@contextmanager
def concealed() -> Iterator[None]:
    """Refusals as a visitor is told them: ids, models, limits and ways through the admin are none of their business.

    :raises ApiError: what is about their own run or what they wrote, as it was; else a plain sentence.
    """
    try:
        yield
    except ApiError as error:
        is_theirs = error.code in OF_THEIR_RUN or (error.code is None and error.status == HTTPStatus.BAD_REQUEST)
        raise (error if is_theirs else _plain(error)) from None


def _plain(error: ApiError) -> ApiError:
    wait = {name: value for name, value in error.headers.items() if name.lower() == "retry-after"}
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _too_many("Many have asked here. Come back later.", wait)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = "The server has a problem at the moment. Come back later."
        return ApiError(words, status=error.status, type=error.type, code="service_unavailable", headers=wait)
    if error.code == FULL:
        return ApiError("This conversation is full. Begin a new one.", code=FULL)
    return ApiError(
        "This chat does not answer at the moment. Come back later.",
        status=HTTPStatus.CONFLICT,
        code="not_answering",
    )


def _too_many(words: str, wait: dict[str, str]) -> ApiError:
    return ApiError(
        words,
        status=HTTPStatus.TOO_MANY_REQUESTS,
        type="rate_limit_error",
        code="rate_limit_exceeded",
        headers={**wait, "x-should-retry": "false"},
    )
