"""What is logged of a request tells no secret that its address ends with."""

import pytest
import structlog

from sovereign.core.logs import logging_configuration, without_secrets

SECRET = "TQ-759JUf24FaSqyLSWIgItbqkCQ65i4ViSY-h3oc1Q"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Internal Server Error: /s/{SECRET}", "Internal Server Error: /s/…"),
        (f"Not Found: /invitations/{SECRET}?next=x", "Not Found: /invitations/…?next=x"),
        ("Not Found: /static/web/site.css", "Not Found: /static/web/site.css"),
    ],
)
def test_an_address_is_logged_without_its_secret(said: str, kept: str) -> None:
    assert without_secrets(None, "error", {"event": said}) == {"event": kept}


def test_nor_does_any_other_field_of_it() -> None:
    said = {
        "event": "x",
        "exception": f"…\n/s/{SECRET}\n",
        "asked": f"/login?next=%2Finvitations%2F{SECRET}",
        "rows": 3,
    }
    kept = {"event": "x", "exception": "…\n/s/…\n", "asked": "/login?next=%2Finvitations%2F…", "rows": 3}
    assert without_secrets(None, "error", said) == kept


def test_the_filter_comes_after_the_traceback_is_made() -> None:
    processors = logging_configuration("INFO")["formatters"]["json"]["processors"]
    assert processors.index(without_secrets) == processors.index(structlog.processors.format_exc_info) + 1
