"""When a prompt fits a run: what its link asks of the occasion.

``{"variables": {"plan": ["pro", "team"]}, "language": ["de", "en-*"], "user_group": ["admin"],
"time": {"from": "08:00", "to": "18:00", "days": ["mon"], "timezone": "Europe/Berlin"}}``: all that is named has to
hold, and of a list one value. Nothing here is looked up: the occasion is all that decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from assistants.prompting.languages import is_in_range, is_range
from assistants.prompting.occasion import Occasion
from sovereign.core.errors import ApiError
from sovereign.core.times import zone_named

# names of variables that conditions look at, beside those that they name themselves
LANGUAGE = "language"
USER_GROUP = "user_group"
TIMEZONE = "timezone"

MAXIMUM_VARIABLES = 16
MAXIMUM_VALUES = 64  # of one list
NAME_LENGTH = 64  # as metadata has it
VALUE_LENGTH = 512
DAYS = {"mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday", "sat": "Saturday",
        "sun": "Sunday"}  # fmt: skip
CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
MIDNIGHT, END_OF_DAY = "00:00", "24:00"
UTC = "UTC"
ASKERS_TIME = "the asker's time"
NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


# ------------------------------------------------------------------------------------------- what may be asked


def checked(conditions: Any) -> dict[str, Any]:
    """Conditions as they are kept: what may be one value or several is a list.

    :raises ApiError: ``param`` leads to what is wrong.
    """
    given = _object("conditions", conditions, _CHECKS)
    return {name: _CHECKS[name](f"conditions.{name}", value) for name, value in given.items()}


def _variables(where: str, value: Any) -> dict[str, list[Any]]:
    if not isinstance(value, Mapping) or not 0 < len(value) <= MAXIMUM_VARIABLES:
        raise _invalid(where, f"an object with 1 to {MAXIMUM_VARIABLES} names of variables")
    for name in value:
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH or NOT_TEXT.search(name):
            raise _invalid(where, f"names of 1 to {NAME_LENGTH} characters")
    return {name: _values(f"{where}.{name}", wanted) for name, wanted in value.items()}


def _values(where: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= MAXIMUM_VALUES or not all(map(_is_value, values)):
        raise _invalid(
            where, f"a text of at most {VALUE_LENGTH} characters, a number or a boolean, or up to {MAXIMUM_VALUES} such"
        )
    return values


def _is_value(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= VALUE_LENGTH and not NOT_TEXT.search(value)
    return isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 2**53)


def _languages(where: str, value: Any) -> list[str]:
    return _texts(where, value, is_range, "languages such as 'de' (with 'de-AT'), 'pt-BR' or 'en-*'")


def _groups(where: str, value: Any) -> list[str]:
    return _texts(where, value, lambda text: 0 < len(text) <= NAME_LENGTH, "names of groups such as 'analyst'")


def _days(where: str, value: Any) -> list[str]:
    days = _texts(where, value, DAYS.__contains__, f"days: {', '.join(DAYS)}")
    return [day for day in DAYS if day in days]


def _texts(where: str, value: Any, fits: Callable[[str], bool], expected: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not 0 < len(texts) <= MAXIMUM_VALUES:
        raise _invalid(where, f"1 to {MAXIMUM_VALUES} {expected}")
    for place, text in enumerate(texts):
        if not isinstance(text, str) or NOT_TEXT.search(text) or not fits(text):
            raise _invalid(f"{where}[{place}]", expected)
    return list(dict.fromkeys(texts))


def _time(where: str, value: Any) -> dict[str, Any]:
    given = _object(where, value, ("from", "to", "days", "timezone"))
    if not set(given) & {"from", "to", "days"}:
        raise _invalid(where, "at least one of 'from', 'to' and 'days'")
    for name in ("from", "to"):
        if name in given and not (isinstance(given[name], str) and CLOCK.fullmatch(given[name])):
            raise _invalid(f"{where}.{name}", "a time such as '08:30', from '00:00' to '24:00'")
    if given.get("from") == END_OF_DAY or given.get("from", MIDNIGHT) == given.get("to", END_OF_DAY):
        raise _invalid(where, "a time that lasts: 'from' and 'to' differ (over midnight 'to' is the smaller one)")
    if "days" in given:
        given["days"] = _days(f"{where}.days", given["days"])
    if "timezone" in given and zone_named(given["timezone"]) is None:
        raise _invalid(f"{where}.timezone", "a time zone such as 'Europe/Berlin' or 'UTC'")
    return given


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "variables": _variables,
    "language": _languages,
    "time": _time,
    "user_group": _groups,
}


def _object(where: str, value: Any, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(where, "an object")
    for name in value:
        if name not in known:
            raise ApiError(
                f"Unknown parameter: '{where}.{str(name)[:NAME_LENGTH]}'. Known are {', '.join(known)}.",
                param=where,
                code="unknown_parameter",
            )
    return dict(value)


def _invalid(where: str, expected: str) -> ApiError:
    return ApiError(f"Invalid '{where}': expected {expected}.", param=where, code="invalid_value")


# ------------------------------------------------------------------------------------------- whether it holds


def unmet(conditions: Mapping[str, Any], occasion: Occasion) -> str | None:
    """The first condition that does not hold, in words; ``None`` where all do.

    The words are of the conditions, not of the occasion: equal for all runs that a prompt is refused to for it.
    """
    for name, (holds, words) in _MEANINGS.items():
        if name in conditions and not holds(conditions[name], occasion):
            return f"not {words(conditions[name])}"
    return None


def in_words(conditions: Mapping[str, Any]) -> str:
    """What is asked, for people: ``language de or en-*, plan pro or team``. Empty where nothing is."""
    return ", ".join(words(conditions[name]) for name, (_, words) in _MEANINGS.items() if name in conditions)


def zone_of(occasion: Occasion) -> ZoneInfo:
    """Where the asker is, as the variable ``timezone`` says, else UTC."""
    return zone_named(occasion.variables.get(TIMEZONE)) or ZoneInfo(UTC)


def groups_of(occasion: Occasion) -> Collection[str]:
    """A person's groups; who is none (an API key) says by ``user_group``, with commas, whom it asks for."""
    if occasion.user_groups:
        return occasion.user_groups
    return {group.strip() for group in occasion.variables.get(USER_GROUP, "").split(",") if group.strip()}


def _variables_hold(wanted: Mapping[str, list[Any]], occasion: Occasion) -> bool:
    return all(occasion.variables.get(name) in {as_text(value) for value in values} for name, values in wanted.items())


def _language_holds(wanted: list[str], occasion: Occasion) -> bool:
    return any(is_in_range(occasion.variables.get(LANGUAGE, ""), one) for one in wanted)


def _group_holds(wanted: list[str], occasion: Occasion) -> bool:
    return not set(groups_of(occasion)).isdisjoint(wanted)


def _time_holds(wanted: Mapping[str, Any], occasion: Occasion) -> bool:
    """The days are those on which the time begins: from 22:00 to 06:00 on Friday lasts until Saturday morning."""
    local = occasion.instant.astimezone(zone_named(wanted.get("timezone")) or zone_of(occasion))
    clock, start, end = f"{local:%H:%M}", wanted.get("from", MIDNIGHT), wanted.get("to", END_OF_DAY)
    if start < end:
        return start <= clock < end and _is_on(wanted, local)
    if clock >= start:
        return _is_on(wanted, local)
    return clock < end and _is_on(wanted, local - timedelta(days=1))


def _is_on(wanted: Mapping[str, Any], local: datetime) -> bool:
    return "days" not in wanted or list(DAYS)[local.weekday()] in wanted["days"]


def as_text(value: Any) -> str:
    """A value as metadata would have it: ``true``, ``3``, ``pro``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _variables_in_words(wanted: Mapping[str, list[Any]]) -> str:
    return ", ".join(f"{name} {_alternatives(map(as_text, values))}" for name, values in wanted.items())


def _time_in_words(wanted: Mapping[str, Any]) -> str:
    parts = []
    if "from" in wanted or "to" in wanted:
        parts.append(f"from {wanted.get('from', MIDNIGHT)} to {wanted.get('to', END_OF_DAY)}")
    if "days" in wanted:
        parts.append(f"on {_alternatives(DAYS[day] for day in wanted['days'])}")
    return " ".join([*parts, f"({wanted.get('timezone', ASKERS_TIME)})"])


def _alternatives(values: Any) -> str:
    return " or ".join(values)


#: in the order in which they are looked at and told
_MEANINGS: dict[str, tuple[Callable[[Any, Occasion], bool], Callable[[Any], str]]] = {
    "language": (_language_holds, lambda wanted: f"language {_alternatives(wanted)}"),
    "user_group": (_group_holds, lambda wanted: f"user group {_alternatives(wanted)}"),
    "variables": (_variables_hold, _variables_in_words),
    "time": (_time_holds, _time_in_words),
}
