"""``Measures`` as the columns of a roll-up, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.analytics.measures import COUNTERS, SKETCHES, WORD_COUNTS, Measures
from runs.analytics.sketches import add_counts

COLUMNS = (*COUNTERS, *SKETCHES, *WORD_COUNTS)
MOST = 2**63 - 1  # what a column of a counter holds


def pack(measures: Measures) -> dict[str, Any]:
    """The values of ``COLUMNS``."""
    return {
        **{name: min(getattr(measures, name), MOST) for name in COUNTERS},
        **{name: getattr(measures, name).dump() for name in SKETCHES},
        **{name: getattr(measures, name) for name in WORD_COUNTS},
    }


def unpack(columns: Mapping[str, Any]) -> Measures:
    """What such values tell, as ``Rollup.objects.values(*COLUMNS)`` has them; a column that is not there is empty.

    >>> unpack({"runs": 3, "errors": {"server_error": 1}}).runs
    3
    """
    measures = Measures()
    for name in COUNTERS:
        setattr(measures, name, columns.get(name, 0))
    for name in SKETCHES:
        setattr(measures, name, type(getattr(measures, name)).load(columns.get(name, b"")))
    for name in WORD_COUNTS:
        add_counts(getattr(measures, name), columns.get(name, {}))
    return measures
