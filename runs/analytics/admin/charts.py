"""Charts as the shapes that a page draws: the server makes them, so that no script has to run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

WIDTH, HEIGHT = 400, 160  # of the drawing; it is as wide as its place on the page
LEFT, RIGHT, TOP, BOTTOM = 64, 6, 10, 24
GAP = 0.25  # of a bar's place
LINES = 2  # of the grid above the lowest
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Point:
    """:ivar label: of the period. :ivar bad: the part of a bar that is drawn as what went wrong."""

    label: str
    value: float | None
    words: str
    bad: float = 0


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    bad_y: float
    bad_height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """
    :ivar lines: ``points`` of polylines: where a value is missing, one ends.
    :ivar dots: place and words of each value of a line.
    :ivar grid: height and label of each line of the grid.
    :ivar edges: labels of the first and the last period.
    """

    name: str
    title: str
    summary: str
    bars: list[Bar]
    lines: list[str]
    dots: list[tuple[float, float, str]]
    grid: list[tuple[float, str]]
    edges: tuple[str, str]

    width: ClassVar[int] = WIDTH
    height: ClassVar[int] = HEIGHT
    left: ClassVar[int] = LEFT
    right: ClassVar[int] = WIDTH - RIGHT


def bars(name: str, title: str, points: Sequence[Point], summary: str) -> Chart:
    top = _top(points)
    place = (WIDTH - LEFT - RIGHT) / len(points)
    drawn = [
        _bar(point, LEFT + (number + GAP / 2) * place, (1 - GAP) * place, top)
        for number, point in enumerate(points)
        if point.value
    ]
    return _chart(name, title, points, summary, top, bars=drawn)


def line(name: str, title: str, points: Sequence[Point], summary: str, top: float | None = None) -> Chart:
    """:param top: the end of the scale, where it is known beforehand."""
    top = _top(points) if top is None else top
    place = (WIDTH - LEFT - RIGHT) / len(points)
    pieces: list[list[tuple[float, float, str]]] = [[]]
    for number, point in enumerate(points):
        if point.value is None:
            pieces.append([])
        else:
            pieces[-1].append((round(LEFT + (number + 0.5) * place, 1), _y(point.value, top), point.words))
    lines = [" ".join(f"{x},{y}" for x, y, _ in piece) for piece in pieces if len(piece) > 1]
    return _chart(name, title, points, summary, top, lines=lines, dots=[dot for piece in pieces for dot in piece])


def nice(largest: float) -> float:
    """The end of a scale: a round number that is not less.

    >>> nice(0.7), nice(13), nice(0)
    (1.0, 20.0, 1.0)
    """
    if largest <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(largest))
    return next(step * magnitude for step in STEPS if step * magnitude >= largest * 0.999)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _top(points: Sequence[Point]) -> float:
    return nice(max((point.value or 0 for point in points), default=0))


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)


def _bar(point: Point, x: float, width: float, top: float) -> Bar:
    floor, y, bad_y = _y(0, top), _y(point.value or 0, top), _y(point.bad, top)
    return Bar(
        x=round(x, 1),
        y=y,
        width=round(width, 1),
        height=round(floor - y, 1),
        bad_y=bad_y,
        bad_height=round(floor - bad_y, 1),
        words=point.words,
    )


def _chart(
    name: str,
    title: str,
    points: Sequence[Point],
    summary: str,
    top: float,
    bars: Sequence[Bar] = (),
    lines: Sequence[str] = (),
    dots: Sequence[tuple[float, float, str]] = (),
) -> Chart:
    values = [top * step / LINES for step in range(LINES + 1)]
    return Chart(
        name=name,
        title=title,
        summary=summary,
        bars=list(bars),
        lines=list(lines),
        dots=list(dots),
        grid=[(_y(value, top), _tick(value)) for value in values],
        edges=(points[0].label, points[-1].label),
    )
