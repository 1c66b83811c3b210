"""Tables for spreadsheets: CSV of which nothing is taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.http import HttpResponse

from runs.analytics.measures import Measures
from runs.analytics.metrics import UNIT, Metric
from runs.analytics.summary import Summary
from runs.analytics.trends import Trend
from runs.analytics.usage import Series

Cell = str | int | float | bool | datetime | None
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a text begins that a spreadsheet would compute


def attachment(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> HttpResponse:
    """A file to be saved.

    :param name: without ``.csv``; plain, as it is made by the product.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_shown(cell) for cell in row] for row in rows)
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _shown(cell: Cell) -> str | int | float:
    """
    >>> _shown("=HYPERLINK(1)"), _shown(-1.5), _shown(None), _shown(True)
    ("'=HYPERLINK(1)", -1.5, '', 'true')
    """
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case datetime():
            return cell.isoformat()
        case str():
            return f"'{cell}" if cell.startswith(FORMULA) else cell
    return cell


USED = (
    *("runs", "completed", "incomplete", "failed", "cancelled", "expired", "users", "conversations", "calls"),
    *("failed_calls", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "tokens", "cost"),
    *("tool_calls", "tool_failures"),
)


def used(one: Measures) -> dict[str, int | float]:
    """What was used, by ``USED``; cost in units of the house's currency."""
    known = {"users": one.users.count, "conversations": one.conversations.count, "cost": one.cost / UNIT}
    return {name: known[name] if name in known else getattr(one, name) for name in USED}


METRICS_HEADER = (
    *("metric", "title", "unit", "better", "value", "before", "direction", "percent"),
    *("is_significant", "p_value", "note"),
)


def metrics_rows(metrics: Iterable[tuple[Metric, Measures, Trend]]) -> Iterator[Sequence[Cell]]:
    for metric, measures, trend in metrics:
        finding = trend.finding
        yield (
            *(metric.name, metric.title, metric.unit.value, metric.better.value, metric.value(measures), trend.before),
            *(trend.direction, trend.percent, finding.is_significant, finding.p_value, finding.note),
        )


USAGE_HEADER = ("start", "group", "is_rest", *USED)


def usage_rows(every: Sequence[Series]) -> Iterator[Sequence[Cell]]:
    """What is of no group has an empty one; the rest of many groups says that it is the rest."""
    for one in every:
        is_rest = one.group is None and len(every) > 1
        for start, measures in one.points:
            yield (start, one.group, is_rest, *used(measures).values())


def summary_header(summary: Summary) -> Sequence[str]:
    return ("assistant_id", "name", "grade", "score", *(metric.name for metric in summary.metrics))


def summary_rows(summary: Summary) -> Iterator[Sequence[Cell]]:
    for line in summary.lines:
        graded: Sequence[Cell] = (line.grade.letter, line.grade.score) if line.grade else (None, None)
        yield (line.assistant_id, line.name, *graded, *(metric.value(line.measures) for metric in summary.metrics))
