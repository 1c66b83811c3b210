from __future__ import annotations

import pytest

from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal


@pytest.fixture
def principal(api_key: str) -> Principal:
    """Alice's key."""
    return credentials.principal_of_key(api_key)
