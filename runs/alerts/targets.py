"""Where a rule may send to. What is written there leaves the house."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from sovereign.core.addresses import is_inner_host
from sovereign.core.egress import EgressRefused, check_url
from sovereign.core.errors import ApiError

EMAIL_LENGTH = 254
MOST_EMAILS = 20
SHOWN = 64  # characters of what a client sent that an error repeats
HINT = "Webhooks go there only where SOVEREIGN_ALERTS_INNER_NETWORK allows it."


def checked_emails(addresses: Sequence[str]) -> list[str]:
    """Each address once, as it was written.

    :raises ApiError: one of them is none, or there are too many.
    """
    found: dict[str, str] = {}
    for index, address in enumerate(addresses):
        plain = address.strip()
        try:
            validate_email(plain)
        except ValidationError:
            shown = address[:SHOWN]
            raise ApiError(
                f"Invalid value: '{shown}' is no e-mail address.", param=f"emails[{index}]", code="invalid_value"
            ) from None
        found.setdefault(plain.lower(), plain)
    if len(found) > MOST_EMAILS:
        raise ApiError(
            f"A rule has at most {MOST_EMAILS} e-mail addresses.", param="emails", code="array_above_max_length"
        )
    return [*found.values()]


def checked_webhook(url: str) -> str:
    """The address of a receiver; ``""`` for none.

    :raises ApiError: 400 ``invalid_webhook_url``: none that anything is sent to.
    """
    url = url.strip()
    try:
        if url:
            check_target(url, inner_network=settings.SOVEREIGN.alerts_inner_network)
    except EgressRefused as refused:
        hint = f" {HINT}" if str(refused).endswith("inner network.") else ""
        raise ApiError(f"{refused}{hint}", param="webhook_url", code="invalid_webhook_url") from None
    return url


def check_target(url: str, *, inner_network: bool) -> None:
    """Judge an address when it is written and whenever it is sent to: the operator may have closed the inner network.

    :raises EgressRefused: what is none, would go through open networks unsealed, or leads inside.
    """
    check_url(url, inner_network=inner_network)
    parts = urlsplit(url)
    if parts.fragment:
        raise EgressRefused("The address must not have a fragment (#).")
    if inner_network:
        return
    if parts.scheme != "https":
        raise EgressRefused("The address must begin with https://.")
    if is_inner_host(parts.hostname or ""):
        raise EgressRefused(f"{parts.hostname} is an address of an inner network.")
