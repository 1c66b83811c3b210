import pytest

from runs.analytics import counting
from tests.analytics.histories import minute


@pytest.fixture
def soon_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the day after that of the histories: what happened in them is still kept by five minutes."""
    monkeypatch.setattr(counting, "now", lambda: minute(24 * 60))
