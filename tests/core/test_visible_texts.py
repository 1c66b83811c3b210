"""Texts of strangers that are stored."""

from __future__ import annotations

from sovereign.core.visible import storable


def test_what_no_database_takes_is_spelt_out_and_what_is_too_long_is_cut() -> None:
    assert storable("a\x00b\udc80c", 64) == "a\\u0000b?c"
    assert storable("x" * 100, 64) == "x" * 64
    assert len(storable("\x00" * 64, 64)) == 64
