"""A process may hold as many connections as the system lets it."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from sovereign.core import descriptors


@pytest.fixture
def few() -> Iterator[int]:
    """A shell's limit; gives the system's."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, most), most))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def test_the_limit_of_the_shell_is_raised_to_the_systems(few: int) -> None:
    descriptors.allow_many()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (few, few)
