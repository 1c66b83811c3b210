"""Keyset pagination over any total order: ``limit``, ``order``, ``after`` and ``before`` of the contract."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from sovereign.core.database import only_row
from sovereign.core.errors import ApiError
from sovereign.core.ids import instant_of

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 20
MAXIMUM_LIMIT = 100
MINIMUM_LIMIT = 0  # the published schema has no minimum: a page of none tells whether there is anything
BY_CREATION = ("created_at", "id")
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")  # what int() takes besides is no JSON number: " 5", "1_0", "٣"


@dataclass(frozen=True, slots=True)
class Page:
    """What a list request asked for."""

    limit: int = DEFAULT_LIMIT
    descending: bool = True
    after: str | None = None
    before: str | None = None


def page_of(query: Mapping[str, str], *, default: int = DEFAULT_LIMIT, maximum: int = MAXIMUM_LIMIT) -> Page:
    """Read the list parameters.

    :param default: the limit where none is given.
    :raises ApiError: a limit outside 0 to ``maximum``, or an unknown order.
    """
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise ApiError(
            f"Invalid value: '{order[:64]}'. Supported values are: 'asc' and 'desc'.",
            param="order",
            code="invalid_value",
        )
    text = query.get("limit")
    limit = default if text is None else _limit(text, maximum)
    return Page(limit, order == "desc", query.get("after") or None, query.get("before") or None)


def _limit(text: str, maximum: int) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        raise ApiError(
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            param="limit",
            code="invalid_type",
        )
    limit = int(text)
    if limit < MINIMUM_LIMIT:
        raise ApiError(
            "Invalid 'limit': integer below minimum value. Expected a value >= "
            f"{MINIMUM_LIMIT}, but got {limit} instead.",
            param="limit",
            code="integer_below_min_value",
        )
    if limit > maximum:
        raise ApiError(
            f"Invalid 'limit': integer above maximum value. Expected a value <= {maximum}, but got {limit} instead.",
            param="limit",
            code="integer_above_max_value",
        )
    return limit


def paginate(
    queryset: QuerySet[M], page: Page, *, order_by: tuple[str, ...], render: Callable[[M], dict[str, Any]]
) -> dict[str, Any]:
    """One page in the contract's list envelope.

    :param order_by: fields that give a total order, ascending: ``("created_at", "id")`` or ``("position",)``.
    """
    return paginate_together(queryset, page, order_by=order_by, render=lambda rows: [render(row) for row in rows])


def paginate_together(
    queryset: QuerySet[M],
    page: Page,
    *,
    order_by: tuple[str, ...],
    render: Callable[[list[M]], list[dict[str, Any]]],
    key: str = "pk",
    places: Sequence[QuerySet[Any]] = (),
) -> dict[str, Any]:
    """As ``paginate``, where a page's objects are rendered all at once: what they need is asked for once.

    :param key: the field that the API calls the object's id. Where it is not the row's own, a cursor has to be there.
    :param places: the rows that a cursor may name, where ``queryset`` may lose some of them between two pages: of any
        models that have ``key`` and ``order_by``, the first that knows the cursor being believed.
    """
    rows = rows_of(queryset, page, order_by, key=key, places=places)
    return enveloped(render(rows[: page.limit]), has_more=len(rows) > page.limit)


def enveloped(data: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """The contract's list envelope around a page that is there, or a list that is always whole."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def rows_of(
    queryset: QuerySet[M],
    page: Page,
    order_by: tuple[str, ...],
    *,
    key: str = "pk",
    places: Sequence[QuerySet[Any]] = (),
) -> list[M]:
    """The page's rows and, where there are more, one row beyond it."""
    visible = places or (queryset,)
    for name, cursor, forward in (
        ("after", page.after, not page.descending),
        ("before", page.before, page.descending),
    ):
        if cursor is not None:
            queryset = queryset.filter(_beyond(order_by, _position(visible, name, cursor, order_by, key), forward))
    sign = "-" if page.descending else ""
    return list(queryset.order_by(*(sign + field for field in order_by))[: page.limit + 1])


def _position(
    visible: Sequence[QuerySet[Any]], name: str, cursor: str, order_by: tuple[str, ...], key: str
) -> tuple[Any, ...]:
    """The place of a cursor: its row's, or (``created_at`` being inside our own ids) that of a deleted row.

    Only rows the caller may see are looked at: a cursor must not tell whether another tenant's id exists.
    """
    for rows in visible:
        row = only_row(rows.filter(**{key: cursor}).values_list(*order_by))
        if row is not None:
            return tuple(row)
    instant = instant_of(cursor) if key == "pk" else None  # another object's id does not tell when the row was made
    if instant is not None and order_by == BY_CREATION:
        return instant, cursor
    if instant is None or len(order_by) > 1:  # a place by anything else is gone with its row
        raise ApiError(f"No object found with id '{cursor[:64]}'.", param=name, code="invalid_cursor")
    older = visible[0].filter(_beyond(BY_CREATION, (instant, cursor), forward=False))
    newest = older.order_by("-created_at", "-id").values_list(*order_by).first() or (0,)
    return (newest[0] + 0.5,)  # just behind the newest row that is older: positions are whole numbers


def _beyond(order_by: tuple[str, ...], position: tuple[Any, ...], forward: bool) -> Q:
    """Rows strictly after (or before) ``position`` in lexicographic order."""
    comparison = "gt" if forward else "lt"
    condition = Q()
    for depth, field in enumerate(order_by):
        equal = dict(zip(order_by[:depth], position[:depth], strict=True))
        condition |= Q(**equal, **{f"{field}__{comparison}": position[depth]})
    if len(order_by) > 1:  # the leading column alone, so that an index range scan is used
        condition &= Q(**{f"{order_by[0]}__{comparison}e": position[0]})
    return condition
