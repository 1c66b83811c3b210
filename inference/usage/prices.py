"""What tokens cost on a day, in whole nano-units: no fraction is ever rounded away or added up wrongly."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from inference.models import ModelPrice

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


class PriceList:
    """The prices of some models on one day; one query."""

    def __init__(self, models: Collection[str], day: date) -> None:
        rows = ModelPrice.objects.filter(model__in=set(models), valid_from__lte=day).order_by("valid_from")
        columns = rows.values_list("model", "provider_id", "prompt", "cached", "completion")
        self._prices = {  # a later one takes the place of an earlier
            (model, provider_id): Price(prompt, prompt if cached is None else cached, completion)
            for model, provider_id, prompt, cached, completion in columns
        }

    def of(self, model: str, provider_id: str | None) -> Price:
        """Its provider's price, else the one that holds wherever the model is; else nothing is paid for it."""
        prices = self._prices
        return prices.get((model, provider_id)) or prices.get((model, None)) or FREE
