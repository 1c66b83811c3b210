"""Averaged weights: by their shares, and only where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.starter.averaging import averaged, part


def test_weights_are_averaged_by_their_shares():
    assert averaged([({"a": 0.0, "b": 4.0}, 3), ({"a": 8.0, "b": 0.0}, 1)]) == {"a": 2.0, "b": 3.0}
    assert part("some/folder=0.3") == (Path("some/folder"), 0.3)


def test_shares_that_add_up_to_nothing_are_refused():
    with pytest.raises(ValueError, match="nothing"):
        averaged([({"a": 1.0}, 0)])
