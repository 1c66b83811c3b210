"""Prices, typed as they are published: for a million tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from inference import services
from inference.admin.base import HouseAdmin
from inference.models import ModelPrice
from inference.services.prices import LARGEST as LARGEST_PRICE
from sovereign.core.database import now

NANO_UNITS = 1_000  # for one token, of a price of 1 for a million
PRICES = ("prompt", "cached", "completion")


class MillionField(forms.DecimalField):
    """A price for a million tokens; cleaned it is nano-units for one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_value=0,
            max_value=LARGEST_PRICE // NANO_UNITS,
            decimal_places=3,
            widget=UnfoldAdminDecimalFieldWidget,
            **options,
        )

    def clean(self, value: Any) -> Any:
        price: Decimal | None = super().clean(value)
        return None if price is None else int(price * NANO_UNITS)


class PriceForm(forms.ModelForm):
    prompt_price = MillionField(label="Prompt", help_text="For a million tokens of prompts.")
    cached_price = MillionField(
        label="Cached", required=False, help_text="For a million that the provider had cached. Empty: as of prompts."
    )
    completion_price = MillionField(label="Answer", help_text="For a million tokens of answers, reasoning included.")

    class Meta:
        model = ModelPrice
        fields = ("model", "provider", "valid_from")
        labels = {"valid_from": "From"}
        help_texts = {
            "provider": "Whose price it is. Empty: of every engine that serves the model and has no price of its own.",
            "valid_from": "A day, UTC. Calls of earlier days keep what they cost.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            for name in PRICES:
                value = getattr(self.instance, name)
                self.initial[f"{name}_price"] = None if value is None else plain(value)
        else:
            self.initial.setdefault("valid_from", now().date())

    def _get_validation_exclusions(self) -> set[str]:
        """In place of the constraints' own words: those of ``clean``."""
        return {*super()._get_validation_exclusions(), "valid_from"}  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        same = {name: cleaned.get(name) for name in ("model", "provider", "valid_from")}
        if ModelPrice.objects.filter(**same).exclude(pk=self.instance.pk).exists():
            self.add_error("valid_from", "This model has a price from this day on already.")
        return cleaned


def plain(nano_units: int) -> str:
    """A price for a million tokens as people write it.

    >>> plain(150), plain(2_500), plain(0)
    ('0.15', '2.5', '0')
    """
    return f"{(Decimal(nano_units) / NANO_UNITS).normalize():f}"


@admin.register(ModelPrice)
class ModelPriceAdmin(HouseAdmin):
    form = PriceForm
    empty_words = "Without prices nothing costs anything. Say what a million tokens of a model cost."
    superusers_add = superusers_change = True
    list_display = ("model", "owner", "valid_from", "prompt_shown", "cached_shown", "completion_shown")
    list_filter = ("provider",)
    list_select_related = ("provider",)
    search_fields = ("model",)
    list_before_template = "admin/inference/prices.html"
    fieldsets = (
        (None, {"fields": ("model", "provider", "valid_from")}),
        ("For a million tokens, in the currency of your house",
         {"fields": ("prompt_price", "cached_price", "completion_price")}),
    )  # fmt: skip
    viewed = ("model", "owner", "valid_from", "prompt_shown", "cached_shown", "completion_shown")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj):
            return self.fieldsets
        return ((None, {"fields": self.viewed}),)

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        cleaned = form.cleaned_data
        made = services.set_price(
            price=obj if change else None,
            model=cleaned["model"],
            provider=cleaned["provider"],
            valid_from=cleaned["valid_from"],
            prompt=cleaned["prompt_price"],
            cached=cleaned["cached_price"],
            completion=cleaned["completion_price"],
            user_id=request.user.pk,
        )
        obj.pk = made.pk
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: ModelPrice) -> None:
        services.delete_price(price=obj, user_id=request.user.pk)

    @admin.display(description="provider", ordering="provider__name")
    def owner(self, price: ModelPrice) -> str:
        return price.provider.name if price.provider is not None else "every engine"

    @admin.display(description="prompt / million", ordering="prompt")
    def prompt_shown(self, price: ModelPrice) -> str:
        return plain(price.prompt)

    @admin.display(description="cached / million")
    def cached_shown(self, price: ModelPrice) -> str:
        return "as prompt" if price.cached is None else plain(price.cached)

    @admin.display(description="answer / million", ordering="completion")
    def completion_shown(self, price: ModelPrice) -> str:
        return plain(price.completion)
