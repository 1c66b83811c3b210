"""Cases from a file: CSV as spreadsheets write it, or JSON, one case in each line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson

from runs.evaluations.checks import first_unreadable
from runs.evaluations.models import MAXIMUM_CASES
from runs.evaluations.shapes import read as read_case
from sovereign.core.errors import ApiError

CONTENT_LENGTH = 4_000_000  # characters
FIELD_LENGTH = 300_000  # characters of one field of a CSV
csv.field_size_limit(FIELD_LENGTH)  # the process's: set once, for the header, too
FORMATS = ("csv", "jsonl")
PLAIN = ("name", "input", "reference")
JSON_COLUMNS = ("messages", "checks", "variables")
VARIABLE = "variable:"  # and a name: one variable of each case
#: a column of a CSV that is a check by itself: what it becomes, where it is not empty
CHECK_COLUMNS = {
    "exact": lambda text: {"type": "exact", "value": text},
    "contains": lambda text: {"type": "contains", "values": [part.strip() for part in text.split("|") if part.strip()]},
    "regex": lambda text: {"type": "regex", "pattern": text},
    "similarity": lambda text: {"type": "similarity", "at_least": _number(text)},
    "judge": lambda text: {"type": "judge", "criterion": text},
}


def read(format: str, content: str) -> list[dict[str, Any]]:
    """The cases, each complete. Regular expressions are read, which is not done inside a transaction.

    :raises ApiError: 400, with the number of the line that is wrong.
    """
    if len(content) > CONTENT_LENGTH:
        raise _refused(f"it has more than {CONTENT_LENGTH:,} characters.", "string_above_max_length")
    content = content.removeprefix("\ufeff")
    if "\x00" in content:
        raise _refused("it has a character that is not allowed.")
    rows = _of_csv(content) if format == "csv" else _of_jsonl(content)
    cases: list[dict[str, Any]] = []
    lines: list[int] = []
    for line, row in rows:
        if len(cases) == MAXIMUM_CASES:
            raise _refused(f"it has more than {MAXIMUM_CASES:,} cases.", "array_above_max_length")
        try:
            cases.append(read_case(row))
            lines.append(line)
        except ApiError as error:
            raise _refused(f"line {line}: {error.message}", error.code or "invalid_value") from None
    if not cases:
        raise _refused("there is no case in it.")
    _refuse_unreadable(cases, lines)
    return cases


def _refuse_unreadable(cases: list[dict[str, Any]], lines: list[int]) -> None:
    checks = [(line, check) for case, line in zip(cases, lines, strict=True) for check in case["checks"]]
    if wrong := first_unreadable([check for _, check in checks]):
        place, why = wrong
        raise _refused(f"line {checks[place][0]}: this regular expression cannot be used: {why}.", "invalid_pattern")


def _of_jsonl(content: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise _refused(f"line {number}: this is no JSON: {error}.") from None


def _of_csv(content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=_delimiter(content), strict=True)
    try:
        _refuse_columns(reader.fieldnames or ())
        for row in reader:
            if None in row or None in row.values():
                raise _refused(f"line {reader.line_num}: it has not as many fields as there are columns.")
            if any(value.strip() for value in row.values()):
                yield reader.line_num, _as_case(row, reader.line_num)
    except csv.Error as error:
        raise _refused(f"line {reader.line_num}: {error}.") from None


def _delimiter(content: str) -> str:
    """Spreadsheets write a semicolon where the comma is the decimal point."""
    head = content.partition("\n")[0]
    return max(",;\t", key=head.count)


def _refuse_columns(names: Any) -> None:
    known = {*PLAIN, *JSON_COLUMNS, *CHECK_COLUMNS}
    for name in names:
        if name not in known and not name.startswith(VARIABLE):
            columns = ", ".join([*PLAIN, *JSON_COLUMNS, *CHECK_COLUMNS, f"{VARIABLE}NAME"])
            raise _refused(f"there is a column '{name[:64]}'. Known are: {columns}.", "unknown_parameter")
    if len(set(names)) != len(names):
        raise _refused("two columns have the same name.")


def _as_case(row: dict[str, str], line: int) -> dict[str, Any]:
    case: dict[str, Any] = {name: row[name] for name in PLAIN if row.get(name)}
    for name in JSON_COLUMNS:
        if row.get(name, "").strip():
            case[name] = _json(row[name], name, line)
    checks = [make(row[name]) for name, make in CHECK_COLUMNS.items() if row.get(name, "").strip()]
    if checks and isinstance(given := case.get("checks", []), list):
        case["checks"] = [*given, *checks]
    variables = {name.removeprefix(VARIABLE): value for name, value in row.items()
                 if name.startswith(VARIABLE) and value}  # fmt: skip
    if variables and isinstance(more := case.get("variables", {}), dict):
        case["variables"] = {**more, **variables}
    return case


def _json(text: str, name: str, line: int) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _refused(f"line {line}: the field '{name}' is no JSON: {error}.") from None


def _number(text: str) -> float | str:
    """What is no number is refused like any other wrong value."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _refused(message: str, code: str = "invalid_value") -> ApiError:
    return ApiError(f"Invalid 'content': {message}", param="content", code=code)
