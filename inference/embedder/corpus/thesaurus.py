"""Words of everyday and office life that mean the same."""

from collections.abc import Iterator


def pairs(turn: int) -> Iterator[tuple[str, str]]:
    return iter(())
