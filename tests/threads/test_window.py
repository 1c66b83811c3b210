"""What ``truncation_strategy: auto`` leaves out: the middle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from threads import context, services, summaries
from threads.models import Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def principal(api_key: str) -> Principal:
    return credentials.principal_of_key(api_key)


@pytest.fixture
def talk(principal: Principal) -> Callable[..., Thread]:
    def make(*texts: str) -> Thread:
        said = [{"role": ("user", "assistant")[index % 2], "content": value} for index, value in enumerate(texts)]
        return services.create_thread(principal=principal, messages=said)

    return make


def window(thread: Thread, tokens: int, **options: Any) -> list[str]:
    """The window of so many tokens of prompt."""
    given = {"before_run": "run_x", "truncation": {"type": "auto"}, "context_length": None, **options}
    return [str(m["content"]) for m in context.window(thread_id=thread.id, prompt_budget=tokens, **given).messages]


def test_a_short_first_message_stays_and_the_middle_goes(talk: Callable[..., Thread]) -> None:
    thread = talk("goal", *(f"{number:08}" for number in range(10)))
    assert window(thread, 10) == ["goal", "00000007", "00000008", "00000009"]
    assert window(thread, 28) == ["goal", *(f"{number:08}" for number in range(10))]
    assert window(thread, 27) == ["goal", *(f"{number:08}" for number in range(1, 10))]


def test_a_long_first_message_goes_first(talk: Callable[..., Thread]) -> None:
    assert window(talk("a" * 20, "bbbb", "cccc"), 8) == ["bbbb", "cccc"]


def test_the_newest_stays_whatever_it_takes(talk: Callable[..., Thread]) -> None:
    assert window(talk("goal", "bbbb", "c" * 100), 8) == ["goal", "c" * 100]
    assert window(talk("goal", "bbbb", "c" * 100), 8, reserved=1_000) == ["c" * 100]


def test_last_messages_are_the_newest_alone(talk: Callable[..., Thread]) -> None:
    two = {"type": "last_messages", "last_messages": 2}
    assert window(talk("goal", "b", "c"), 100, truncation=two) == ["b", "c"]
    assert window(talk("goal", "bbbb", "cccc", "dddd"), 1, truncation=two) == ["dddd"]


def test_text_of_any_script_is_measured_in_bytes(talk: Callable[..., Thread]) -> None:
    thread = talk("目標", *["天気天気"] * 4)  # three bytes a character
    assert window(thread, 10) == ["目標", "天気天気", "天気天気"]


def test_the_runs_own_message_is_never_the_opening(talk: Callable[..., Thread]) -> None:
    thread = talk()
    services.open_message(thread, message_id="msg_1", run_id="run_x", assistant_id="asst_x")
    services.close_message("msg_1", content=[services.text_part("own")])
    services.add_messages(thread, [{"role": "user", "content": word * 4} for word in "abcdef"])
    assert window(thread, 6) == ["aaaa", "dddd", "eeee", "ffff"]


def test_pictures_that_a_run_has_drawn_are_not_what_its_model_said(talk: Callable[..., Thread]) -> None:
    thread = talk("Draw.")
    picture = {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "auto"}}
    services.open_message(thread, message_id="msg_1", run_id="run_1", assistant_id="asst_x")
    services.close_message("msg_1", content=[picture, services.text_part("Drawn.")])
    services.open_message(thread, message_id="msg_2", run_id="run_2", assistant_id="asst_x")
    services.close_message("msg_2", content=[picture])
    assert window(thread, 100) == ["Draw.", "Drawn.", str([picture])]


def test_a_window_may_be_smaller_than_the_room(talk: Callable[..., Thread]) -> None:
    thread = talk("goal", *(f"{number:08}" for number in range(10)))
    assert window(thread, 1_000, window_tokens=10, reserved=2_000) == window(thread, 10)
    assert window(thread, 10, window_tokens=1_000) == window(thread, 10)


def test_a_summary_stands_for_what_has_no_room(talk: Callable[..., Thread]) -> None:
    texts = [f"{number:0100}" for number in range(10)]
    thread = talk(*texts)
    given: Any = {"thread_id": thread.id, "before_run": "run_x", "truncation": {"type": "auto"}, "context_length": None}
    pruned = context.window(**given, window_tokens=200)
    assert context.window(**given, window_tokens=200, is_summed_up=True) == pruned, "there is none yet"

    summary = summaries.add(thread_id=thread.id, up_to=8, text="They counted.\nUp to seven.", model="tiny")
    shown = context.window(**given, window_tokens=200, is_summed_up=True)
    assert (shown.summary, shown.has_opening) == (summary, False)
    assert shown.earlier == f"{summaries.HEAD}\n> They counted.\n> Up to seven."
    assert [message["content"] for message in shown.messages] == texts[8:]
    assert context.window(**given, window_tokens=200) == pruned, "who did not ask for it is not told"
    assert len(context.window(**given, is_summed_up=True).rows) == 10, "all of it has room"

    summary.text = "many words " * 1_000
    summary.save()
    large = context.window(**given, window_tokens=200, is_summed_up=True)
    assert len(large.earlier.encode()) <= 300 + len("…".encode())
    assert [message["content"] for message in large.messages] == texts[8:]


def test_last_messages_are_what_is_behind_the_summary(talk: Callable[..., Thread]) -> None:
    thread = talk("a", "b", "c", "d")
    summaries.add(thread_id=thread.id, up_to=3, text="Letters.", model="tiny")
    given: Any = {"thread_id": thread.id, "before_run": "run_x", "context_length": None, "is_summed_up": True}
    two = context.window(**given, truncation={"type": "last_messages", "last_messages": 2})
    assert [message["content"] for message in two.messages] == ["d"]
    assert two.summary is not None
    summaries.forget(thread.id, 3)
    assert summaries.newest(thread.id) is None
