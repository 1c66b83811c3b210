"""Conditions of prompts: what may be asked, and when it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from assistants.prompting import conditions
from assistants.prompting.conditions import checked, in_words, unmet
from assistants.prompting.languages import is_in_range
from sovereign.core.errors import ApiError
from tests.assistants.prompting import FRIDAY_NOON, occasion


def holds(asked: dict[str, Any], *args: Any, **said: Any) -> bool:
    return unmet(checked(asked), occasion(*args, **said)) is None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ------------------------------------------------------------------------------------------- checking


def test_conditions_are_kept_in_one_form() -> None:
    assert checked(
        {
            "variables": {"plan": "pro", "seats": [1, 2.5, True]},
            "language": ["de", "de", "en-*"],
            "time": {"from": "08:00", "days": ["sun", "mon"]},
            "user_group": "admin",
        }
    ) == {
        "variables": {"plan": ["pro"], "seats": [1, 2.5, True]},
        "language": ["de", "en-*"],
        "time": {"from": "08:00", "days": ["mon", "sun"]},
        "user_group": ["admin"],
    }
    assert checked({}) == {}


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ([], "conditions", "invalid_value"),
        (None, "conditions", "invalid_value"),
        ({"weather": "rain"}, "conditions", "unknown_parameter"),
        ({"variables": {}}, "conditions.variables", "invalid_value"),
        ({"variables": "plan"}, "conditions.variables", "invalid_value"),
        ({"variables": {"": "x"}}, "conditions.variables", "invalid_value"),
        ({"variables": {"n" * 65: "x"}}, "conditions.variables", "invalid_value"),
        ({"variables": {str(n): "x" for n in range(17)}}, "conditions.variables", "invalid_value"),
        ({"variables": {"plan": []}}, "conditions.variables.plan", "invalid_value"),
        ({"variables": {"plan": None}}, "conditions.variables.plan", "invalid_value"),
        ({"variables": {"plan": {"is": "pro"}}}, "conditions.variables.plan", "invalid_value"),
        ({"variables": {"plan": "x" * 513}}, "conditions.variables.plan", "invalid_value"),
        ({"variables": {"plan": "a\x00"}}, "conditions.variables.plan", "invalid_value"),
        ({"variables": {"plan": float("nan")}}, "conditions.variables.plan", "invalid_value"),
        ({"variables": {"plan": ["x"] * 65}}, "conditions.variables.plan", "invalid_value"),
        ({"language": []}, "conditions.language", "invalid_value"),
        ({"language": 7}, "conditions.language", "invalid_value"),
        ({"language": ["de", "German!"]}, "conditions.language[1]", "invalid_value"),
        ({"language": ["de", 7]}, "conditions.language[1]", "invalid_value"),
        ({"user_group": [""]}, "conditions.user_group[0]", "invalid_value"),
        ({"time": {}}, "conditions.time", "invalid_value"),
        ({"time": {"timezone": "UTC"}}, "conditions.time", "invalid_value"),
        ({"time": {"until": "08:00"}}, "conditions.time", "unknown_parameter"),
        ({"time": {"from": "8:00"}}, "conditions.time.from", "invalid_value"),
        ({"time": {"to": "24:01"}}, "conditions.time.to", "invalid_value"),
        ({"time": {"to": 8}}, "conditions.time.to", "invalid_value"),
        ({"time": {"from": "08:00", "to": "08:00"}}, "conditions.time", "invalid_value"),
        ({"time": {"from": "24:00"}}, "conditions.time", "invalid_value"),
        ({"time": {"days": ["someday"]}}, "conditions.time.days[0]", "invalid_value"),
        ({"time": {"from": "08:00", "timezone": "Mars/Olympus"}}, "conditions.time.timezone", "invalid_value"),
        ({"time": {"from": "08:00", "timezone": "../UTC"}}, "conditions.time.timezone", "invalid_value"),
        ({"time": {"from": "08:00", "timezone": 7}}, "conditions.time.timezone", "invalid_value"),
    ],
)
def test_what_is_no_condition_is_refused_where_it_stands(asked: Any, param: str, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        checked(asked)
    assert (refused.value.param, refused.value.code, refused.value.status) == (param, code, 400)
    assert refused.value.message.startswith(("Invalid '", "Unknown parameter: '"))


# ------------------------------------------------------------------------------------------- holding


def test_no_condition_always_holds() -> None:
    assert holds({})
    assert holds({}, None)


def test_all_conditions_have_to_hold_and_of_a_list_one_value() -> None:
    asked = {"variables": {"plan": ["pro", "team"], "beta": True}, "language": "de"}
    assert holds(asked, plan="team", beta="true", language="de")
    assert not holds(asked, plan="free", beta="true", language="de")
    assert not holds(asked, plan="team", language="de")
    assert not holds(asked, plan="team", beta="true", language="fr")
    assert not holds(asked)


def test_numbers_and_booleans_are_met_by_their_texts() -> None:
    assert holds({"variables": {"seats": 3}}, seats="3")
    assert holds({"variables": {"rate": 2.5}}, rate="2.5")
    assert holds({"variables": {"beta": False}}, beta="false")
    assert not holds({"variables": {"beta": False}})


@pytest.mark.parametrize(
    ("tag", "wanted", "expected"),
    [
        ("de", "de", True),
        ("DE-at", "de", True),
        ("de_AT", "de-AT", True),
        ("de", "de-AT", False),
        ("de-Latn-AT", "de-AT", True),
        ("de-x-AT", "de-AT", False),
        ("den", "de", False),
        ("en", "en-*", True),
        ("en-GB", "en-*", True),
        ("zh-Hant-TW", "*-TW", True),
        ("fr", "*", True),
        ("", "*", False),
        ("", "de", False),
        ("not a language", "de", False),
    ],
)
def test_languages_are_matched_as_ranges(tag: str, wanted: str, expected: bool) -> None:
    assert is_in_range(tag, wanted) is expected
    assert holds({"language": [wanted]}, language=tag) is expected


def test_a_persons_groups_are_not_what_metadata_say() -> None:
    asked = {"user_group": ["admin", "beta"]}
    assert holds(asked, groups=("admin",))
    assert not holds(asked, groups=("viewer",), user_group="admin")
    assert holds(asked, user_group="paying, beta")  # a key: it says for whom it asks
    assert not holds(asked, user_group="paying")
    assert not holds(asked)


WORKDAY = {"time": {"from": "08:00", "to": "18:00", "days": ["mon", "fri"], "timezone": "Europe/Berlin"}}
NIGHT = {"time": {"from": "22:00", "to": "06:00", "days": ["fri"]}}


@pytest.mark.parametrize(
    ("asked", "instant", "expected"),
    [
        (WORKDAY, "2026-11-20 07:00", True),  # Friday, 08:00 in Berlin
        (WORKDAY, "2026-11-20 06:59", False),
        (WORKDAY, "2026-11-20 16:59", True),
        (WORKDAY, "2026-11-20 17:00", False),
        (WORKDAY, "2026-07-17 06:00", True),  # in summer
        (WORKDAY, "2026-11-19 09:00", False),  # Thursday
        (NIGHT, "2026-11-20 21:59", False),
        (NIGHT, "2026-11-20 22:00", True),
        (NIGHT, "2026-11-21 05:59", True),  # still Friday's night
        (NIGHT, "2026-11-21 06:00", False),
        (NIGHT, "2026-11-21 23:00", False),
        (NIGHT, "2026-11-20 03:00", False),  # Thursday's
        ({"time": {"days": ["fri"]}}, "2026-11-20 23:59", True),
        ({"time": {"days": ["fri"]}}, "2026-11-21 00:00", False),
        ({"time": {"from": "12:00"}}, "2026-11-20 23:59", True),
        ({"time": {"to": "12:00"}}, "2026-11-20 12:00", False),
        ({"time": {"from": "20:00", "to": "24:00"}}, "2026-11-20 23:59", True),
        ({"time": {"from": "20:00", "to": "00:00"}}, "2026-11-20 23:59", True),
    ],
)
def test_times_begin_sharply_and_end_sharply(asked: dict[str, Any], instant: str, expected: bool) -> None:
    assert holds(asked, at=at(instant)) is expected


def test_a_time_without_a_zone_is_the_askers() -> None:
    asked = {"time": {"from": "20:00", "to": "22:00"}}
    assert not holds(asked, at=FRIDAY_NOON)
    assert holds(asked, at=FRIDAY_NOON, timezone="Asia/Tokyo")
    assert not holds(asked, at=FRIDAY_NOON, timezone="Asia/Nowhere")
    assert not holds({"time": {**asked["time"], "timezone": "UTC"}}, at=FRIDAY_NOON, timezone="Asia/Tokyo")


# ------------------------------------------------------------------------------------------- words


def test_conditions_are_told_in_words() -> None:
    asked = checked(
        {**WORKDAY, "variables": {"plan": ["pro", True]}, "language": ["de", "en-*"], "user_group": "admin"}
    )
    assert in_words(asked) == (
        "language de or en-*, user group admin, plan pro or true, "
        "from 08:00 to 18:00 on Monday or Friday (Europe/Berlin)"
    )
    assert in_words({}) == ""
    assert in_words(checked({"time": {"days": ["sat"]}})) == "on Saturday (the asker's time)"


def test_what_does_not_hold_is_told_without_what_was_said_instead() -> None:
    assert unmet(checked({"language": "de", "user_group": "admin"}), occasion(language="secret")) == "not language de"
    assert unmet(checked({"variables": {"plan": "pro"}}), occasion(plan="secret")) == "not plan pro"


def test_the_list_of_time_zones_has_utc() -> None:
    assert conditions.zone_named("UTC") is not None
    assert conditions.zone_named("") is None
    assert conditions.zone_named(None) is None
