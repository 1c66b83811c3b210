"""The clock and the calculator: right answers, and for everything else one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from assistants.admin.offers import CONTRACT
from assistants.api.fields import TOOL_TYPES
from assistants.catalog.entries import BUILT_IN, MCP
from assistants.models import Assistant
from runs.models import Run, ToolUse
from runs.tools import CONTRACT_TOOLS, EXTENSIONS
from runs.tools.arithmetic import MAXIMUM_LENGTH
from runs.tools.calculator import Calculator
from runs.tools.current_time import CurrentTime
from sovereign.core.database import in_database
from tests.runs.builtin import asked, called, refused, surroundings
from tests.runs.support import Model, call, end, ended, text, working

MOMENT = datetime(2026, 11, 21, 23, 30, 5, 123, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> CurrentTime:
    monkeypatch.setattr(timezone, "now", lambda: MOMENT)
    return CurrentTime({"type": "current_time"}, surroundings())


@pytest.fixture
def calculator() -> Calculator:
    return Calculator({"type": "calculator"}, surroundings())


async def test_the_time_is_utc_unless_a_zone_is_named(clock: CurrentTime) -> None:
    assert await asked(clock) == "Saturday, 2026-11-21T23:30:05+00:00 (UTC)"
    assert await asked(clock, timezone="Europe/Berlin") == "Sunday, 2026-11-22T00:30:05+01:00 (Europe/Berlin)"


@pytest.mark.parametrize("zone", ["Middle/Earth", "../../etc/passwd", "/etc/localtime", "Europe", "é", "a\x00b"])
async def test_what_is_no_zone_is_told(clock: CurrentTime, zone: str) -> None:
    assert (
        await refused(clock, timezone=zone) == f"There is no time zone '{zone}'. Use a name like Europe/Berlin or UTC."
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("(1 + 0.19) * 84.5", "100.555"),
        ("1/3", "1/3 (about 0.3333333333333333)"),
        ("1/7*7", "1"),
        ("2 ** 10", "1024"),
        ("2 ** -2", "0.25"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("--3 + +2", "5"),
        ("3 × 4 ÷ 8 − 1", "0.5"),
        ("1e3 + 1_000", "2000"),
        ("99999999999999999999 * 2", "199999999999999999998"),
        ("sqrt(1/4)", "0.5"),
        ("sqrt(2)", "about 1.4142135623730951"),
        ("log10(1000)", "about 3"),
        ("log(8, 2)", "about 3"),
        ("max(1, 2.5, -3)", "2.5"),
        ("round(2.5)", "3"),
        ("round(-2.567, 2)", "-2.57"),
        ("floor(-0.5) + ceil(0.5)", "0"),
        ("factorial(20)", "2432902008176640000"),
        ("cos(pi)", "about -1"),
        ("1 ** 99999999999 + (-1) ** 3", "0"),
    ],
)
async def test_what_can_be_counted_is_counted_exactly(calculator: Calculator, expression: str, value: str) -> None:
    assert await asked(calculator, expression=expression) == value


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "Nothing can be divided by zero."),
        ("5 % 0.0", "Nothing can be divided by zero."),
        ("sqrt(-1)", "sqrt has no value there."),
        ("(-8) ** 0.5", "This power is not a real number."),
        ("2 ^ 8", "Write ** for powers."),
        ("9 ** 9 ** 9", "A number in this calculation becomes too large."),
        ("10 ** 10 ** 10 ** 10", "A number in this calculation becomes too large."),
        ("1e999999999", "A number in this calculation becomes too large."),
        ("exp(1000)", "A number in this calculation becomes too large."),
        ("factorial(801)", "factorial takes numbers up to 800."),
        ("factorial(factorial(30))", "factorial takes numbers up to 800."),
        ("factorial(2.5)", "factorial takes a whole number that is not negative."),
        ("round(1, 10**9)", "round takes a whole number of places, up to 100."),
        ("sin()", "sin takes 1 numbers."),
        ("x + 1", "'x' is unknown. There are the constants pi and e."),
        ("1,000 + 1", "This is not an expression that can be calculated."),
        ("1 +", "This is not an expression that can be calculated."),
        ("True", "This is not an expression that can be calculated."),
        ("'a' * 9", "This is not an expression that can be calculated."),
        ("[1][0]", "This is not an expression that can be calculated."),
        ("(1).real", "This is not an expression that can be calculated."),
        ("min(*(1, 2))", "This is not an expression that can be calculated."),
        ("(lambda: 1)()", "This is not an expression that can be calculated."),
        ("-" * 900 + "1", "The expression is nested too deeply."),
    ],
)
async def test_what_cannot_be_counted_is_told_in_a_sentence(
    calculator: Calculator, expression: str, reason: str
) -> None:
    assert await refused(calculator, expression=expression) == reason


async def test_nothing_is_executed(calculator: Calculator) -> None:
    for name in ("__import__", "open", "eval", "exec"):
        assert (await refused(calculator, expression=f"{name}('1')")).startswith(f"'{name}' is unknown.")


async def test_arguments_that_break_the_schema_are_told(calculator: Calculator) -> None:
    for written in ("{}", '{"expression": 5}', '{"expression": "1", "more": 1}', "1 + 1", "[]"):
        answer, wrong = await called(calculator, written)
        assert (answer, wrong.startswith("The arguments are")) == ("", True), written
    too_long = await refused(calculator, expression="1" * (MAXIMUM_LENGTH + 1))
    assert too_long == f"The expression is longer than {MAXIMUM_LENGTH} characters."


def test_what_can_be_ticked_is_what_there_is() -> None:
    """The pages of assistants, what is kept of them, and what carries it out are tables of their own: one a room."""
    assert {*BUILT_IN, MCP} == set(EXTENSIONS)
    assert set(CONTRACT) == set(CONTRACT_TOOLS) == set(TOOL_TYPES) - {"function"}


@pytest.mark.django_db(transaction=True)
async def test_a_run_calls_them_in_one_turn_and_goes_on(
    model: Model, assistant: Assistant, begin: Callable[..., Run]
) -> None:
    entries = [{"type": kind} for kind in ("current_time", "calculator", "search_threads")]
    entries.append({"type": "fetch", "addresses": ["https://docs.example/a"]})
    await in_database(Assistant.objects.filter(pk=assistant.pk).update, server_tools=entries)
    run = await in_database(begin)
    model.answers(
        *call(0, "calculator", '{"expression": "6 * 7"}'),
        *call(1, "current_time", '{"timezone": "Mars"}'),
        *call(2, "search_threads", '{"query": "nothing"}'),
        *call(3, "fetch", '{"url": "https://docs.example/b"}'),
        end("tool_calls"),
    )
    model.answers(*text("It is 42."), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    shown = [tool["function"]["name"] for tool in model.requests[0].tools]
    assert shown == ["current_time", "calculator", "search_threads", "fetch"]
    told = [message["content"] for message in model.requests[1].messages[-4:]]
    assert told[0] == "42"
    assert "There is no time zone 'Mars'" in told[1]
    assert json.loads(told[2])["messages"] == []
    assert "This address is not allowed" in told[3]
    uses = await in_database(lambda: list(ToolUse.objects.order_by("id").values_list("kind", "outcome")))
    assert sorted(uses) == [
        ("calculator", "ok"),
        ("current_time", "error"),
        ("fetch", "error"),
        ("search_threads", "ok"),
    ]
