"""What tokens cost, from a day on."""

from __future__ import annotations

from datetime import date

from django.db import IntegrityError, transaction

from inference.models import ModelPrice, Provider
from inference.naming import MAXIMUM_NAME
from sovereign.accounts import audit
from sovereign.core.database import service
from sovereign.core.errors import ApiError

LARGEST = 10**11  # nano-units for one token: 100 of the currency, so that a call costs less than the column holds


@service
def set_price(
    *,
    model: str,
    valid_from: date,
    prompt: int,
    completion: int,
    cached: int | None = None,
    provider: Provider | None = None,
    price: ModelPrice | None = None,
    user_id: int | None = None,
) -> ModelPrice:
    """Enter a price in nano-units for a token, or correct ``price``; what was used already keeps what it cost.

    :param provider: whose price it is; ``None`` for every engine that serves ``model`` and has no price of its own.
    :raises ApiError: ``param`` names what is wrong; there is a price of that day already.
    """
    model = model.strip()
    if not model or not model.isprintable() or len(model) > MAXIMUM_NAME:
        raise ApiError("A model's name is 1 to 200 printable characters.", param="model")
    for name, value in (("prompt", prompt), ("completion", completion), ("cached", cached)):
        if value is not None and not 0 <= value <= LARGEST:
            raise ApiError("A price is 0 to 100 for a token.", param=name)
    row = price or ModelPrice()
    row.model, row.provider, row.valid_from = model, provider, valid_from
    row.prompt, row.cached, row.completion = prompt, cached, completion
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ApiError(f"'{model}' has a price from {valid_from} on already.", param="valid_from") from None
    details = {"prompt": prompt, "cached": cached, "completion": completion, **_named(row)}
    audit.record_of_person(user_id, "model_price.changed" if price else "model_price.created", row, **details)
    return row


@service
def delete_price(*, price: ModelPrice, user_id: int | None = None) -> None:
    """What was used while it held keeps what it cost."""
    audit.record_of_person(user_id, "model_price.deleted", price, **_named(price))
    price.delete()


def _named(price: ModelPrice) -> dict[str, str | None]:
    owner = price.provider.name if price.provider else None
    return {"model": price.model, "provider": owner, "valid_from": price.valid_from.isoformat()}
