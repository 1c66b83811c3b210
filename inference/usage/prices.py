"""What tokens cost on a day, in whole nano-units: no fraction is ever rounded away or added up wrongly."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import NamedTuple

from inference.models import ModelPrice
from sovereign.core.database import Prepared

LARGEST_COST = 2**63 - 1  # what the column holds


class Price(NamedTuple):
    """Nano-units for one token; ``cached`` is for those of the prompt that were cached."""

    prompt: int
    cached: int
    completion: int


FREE = Price(0, 0, 0)


def cost(price: Price, *, prompt: int, cached: int, completion: int) -> int:
    """Nano-units of a call; ``cached`` tokens are among those of the prompt, reasoning among the completion's.

    >>> cost(Price(prompt=150, cached=75, completion=600), prompt=1000, cached=400, completion=10)
    126000
    """
    cached = min(cached, prompt)
    exact = (prompt - cached) * price.prompt + cached * price.cached + completion * price.completion
    return min(exact, LARGEST_COST)


#: of one model, which is what most batches of calls are of
_OF_MODEL = Prepared(lambda model: ModelPrice.objects.filter(model=model).order_by("valid_from"))


def _rows(models: Collection[str]) -> Iterable[ModelPrice]:
    if len(models) == 1:
        return ModelPrice.objects.raw(*_OF_MODEL.with_values(*models))
    return ModelPrice.objects.filter(model__in=models).order_by("valid_from")


def _price_of(row: ModelPrice) -> Price:
    return Price(row.prompt, row.prompt if row.cached is None else row.cached, row.completion)


class PriceList:
    """The prices of some models on one day; one query."""

    def __init__(self, models: Collection[str], day: date) -> None:
        rows = (row for row in _rows(set(models)) if row.valid_from <= day)
        self._prices = {(row.model, row.provider_id): _price_of(row) for row in rows}  # a later one replaces an earlier

    def of(self, model: str, provider_id: str | None) -> Price:
        """Its provider's price, else the one that holds wherever the model is; else nothing is paid for it."""
        prices = self._prices
        return prices.get((model, provider_id)) or prices.get((model, None)) or FREE
