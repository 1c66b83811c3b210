"""The form of what a project expects of its assistants."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from runs.analytics.standards import MOST_WEIGHT, TARGETS, WEIGHTS, Part, Standards
from sovereign.core.errors import ApiError


def _number(label: str, lowest: float, highest: float, default: float | None) -> forms.FloatField:
    told = (
        f"From {lowest:g} to {highest:g}; usually {default:g}."
        if default is not None
        else "Without it the cost does not count."
    )
    return forms.FloatField(
        label=label,
        required=False,
        min_value=lowest,
        max_value=highest,
        widget=UnfoldAdminDecimalFieldWidget(
            attrs={"step": "any", "placeholder": "" if default is None else f"{default:g}"}
        ),
        help_text=told,
    )


class ExpectationsForm(forms.Form):
    """An empty field is the default."""

    def __init__(self, standards: Standards, data: Any = None) -> None:
        super().__init__(data)
        self.weights = {f"weight_{name}": name for name in WEIGHTS}
        self.targets = {f"target_{name}": name for name in TARGETS}
        for field, name in self.weights.items():
            self.fields[field] = _number(str(Part(name).label), 0, MOST_WEIGHT, WEIGHTS[name])
            self._show(field, standards.weights[name], WEIGHTS[name])
        for field, name in self.targets.items():
            target = TARGETS[name]
            self.fields[field] = _number(target.title, target.lowest, target.highest, target.default)
            self._show(field, standards.targets[name], target.default)

    def _show(self, field: str, value: float | None, default: float | None) -> None:
        """What is usual is not sent back, or it would be what the project wants from then on."""
        if value != default:
            self.initial[field] = value

    def weight_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.weights]

    def target_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.targets]

    def given(self) -> dict[str, dict[str, float | None]]:
        """As the service wants them."""
        return {
            "weights": {name: self.cleaned_data[field] for field, name in self.weights.items()},
            "targets": {name: self.cleaned_data[field] for field, name in self.targets.items()},
        }

    def refuse(self, error: ApiError) -> None:
        self.add_error(None, error.message)
