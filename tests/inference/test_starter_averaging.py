"""Averaged weights: by their shares, and only where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_weights_are_averaged_by_their_shares():
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from inference.starter.averaging import averaged, part

    one, other = {"a": torch.tensor([0.0, 4.0])}, {"a": torch.tensor([8.0, 0.0])}
    assert averaged([(one, 3), (other, 1)])["a"].tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match="nothing"):
        averaged([(one, 0)])
    assert part("some/folder=0.3") == (Path("some/folder"), 0.3)
