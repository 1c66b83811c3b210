"""Every time in the admin is the reader's own, and one that is typed there is meant so."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from assistants.admin.deployment_forms import WishForm
from runs.models import Run
from sovereign.accounts.models import User

pytestmark = pytest.mark.django_db

TOKYO = ZoneInfo("Asia/Tokyo")
NIGHT = datetime(2026, 7, 1, 20, 30, 5, tzinfo=UTC)  # of the next day there


@pytest.fixture
def there(visit: Callable[[User], Client], alice: User) -> Client:
    """Alice, where she is."""
    client = visit(alice)
    client.cookies["timezone"] = "Asia/Tokyo"
    return client


def test_lists_and_pages_tell_the_time_where_the_reader_is(there: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(created_at=NIGHT, expires_at=NIGHT)
    for address in ("/admin/", reverse("admin:runs_run_changelist")):
        content = there.get(address).content.decode()
        assert "2026-07-02 05:30" in content, address
        assert "2026-07-01" not in content, address


def test_a_time_that_is_typed_is_the_readers() -> None:
    with timezone.override(TOKYO):
        form = WishForm({"scheduled_at": "2099-01-02T05:30", "expected": ""})
        assert form.is_valid()
        assert "Your time, Asia/Tokyo." in form.as_p()
    assert form.wish()["scheduled_at"] == datetime(2099, 1, 1, 20, 30, tzinfo=UTC)


def test_the_admin_writes_no_time_by_hand() -> None:
    """What Python formats is UTC, whoever reads it."""
    by_hand = re.compile(r"\{[^{}]*:[^{}]*%H")
    every = Path(settings.BASE_DIR).glob("*/**/*.py")
    paths = [path for path in every if "admin" in path.parts and not {".venv", "tests"} & set(path.parts)]
    assert len(paths) > 50
    assert [str(path) for path in paths if by_hand.search(path.read_text())] == []
