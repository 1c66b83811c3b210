"""People read times in their own zone; programs have them as they were."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.formats import localize

from sovereign.core import times
from sovereign.core.middleware import TimeZoneMiddleware
from tests.support.fixtures import skip_ring

MOMENT = datetime(2026, 7, 1, 23, 30, 5, tzinfo=UTC)


@pytest.fixture
def told() -> Callable[..., str]:
    """``told(path, cookie)``: how a page there tells the moment."""

    def ask(path: str, cookie: str | None = None) -> str:
        request = RequestFactory().get(path)
        request.user = AnonymousUser()
        if cookie is not None:
            request.COOKIES[times.COOKIE] = cookie

        def page(request: HttpRequest) -> HttpResponse:
            return HttpResponse(f"{times.told(MOMENT)} {times.zone_name()}")

        return TimeZoneMiddleware(page)(request).content.decode()

    return ask


def test_what_the_functions_say_of_themselves_is_so() -> None:
    failed, tried = doctest.testmod(times)
    assert tried > 3
    assert not failed


def test_a_page_tells_times_in_the_zone_of_its_reader(told: Callable[..., str]) -> None:
    assert told("/admin/runs/run/", "Europe/Berlin") == "2026-07-02 01:30 CEST Europe/Berlin"
    assert told("/chat/", "America/New_York") == "2026-07-01 19:30 EDT America/New_York"
    assert told("/admin/") == "2026-07-01 23:30 UTC UTC"  # nor is the zone of one reader left to the next


@pytest.mark.parametrize(
    "cookie", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "europe/berlin ", "\x00", "a" * 5000]
)
def test_what_is_no_zone_is_as_if_nothing_was_told(told: Callable[..., str], cookie: str) -> None:
    assert told("/admin/", cookie) == "2026-07-01 23:30 UTC UTC"


@pytest.mark.parametrize("path", ["/v1/assistants", "/api/v1/alerts", "/administration", "/health", "/"])
def test_programs_are_told_utc(told: Callable[..., str], path: str) -> None:
    assert told(path, "Europe/Berlin") == "2026-07-01 23:30 UTC UTC"


def test_days_are_those_of_the_reader() -> None:
    later = MOMENT.replace(hour=23, minute=59)
    assert times.is_same_day(MOMENT, later)
    with times.timezone.override(times.zone_named("Asia/Tokyo")):
        assert times.shown(MOMENT) == "2026-07-02 08:30"
        assert not times.is_same_day(MOMENT.replace(hour=14), MOMENT.replace(hour=16))


def test_the_browser_tells_its_zone_once(tmp_path: Any) -> None:
    """The script as node runs it: one cookie for all pages, and none where it is there already."""
    node = shutil.which("node")
    if node is None:
        skip_ring("node is not installed")
    path = finders.find("web/timezone.js")
    program = tmp_path / "played.mjs"
    program.write_text(
        f"""
        import {{ readFileSync }} from "node:fs";
        const script = readFileSync({str(path)!r}, "utf-8");
        const written = [];
        globalThis.window = {{ location: {{ protocol: "http:" }} }};
        globalThis.document = {{
          get cookie() {{ return globalThis.jar; }}, set cookie(text) {{ written.push(text); }},
        }};
        for (globalThis.jar of ["", "a=1; timezone=Europe/Vienna; b=2", "timezone=UTC"]) new Function(script)();
        console.log(JSON.stringify(written));
        """
    )
    done = subprocess.run([node, program], capture_output=True, text=True, env={"TZ": "Europe/Vienna"}, timeout=60)
    assert re.findall(r"timezone=[^;]*; path=/;", done.stdout) == ["timezone=Europe/Vienna; path=/;"] * 2, done.stderr


def test_django_writes_times_as_we_do() -> None:
    assert localize(MOMENT) == times.shown(MOMENT)
