"""Form fields that several rooms' pages use."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput
from rest_framework.exceptions import ValidationError as Refusal
from unfold.widgets import UnfoldAdminTextareaWidget

from sovereign.core.api.validation import Metadata, validation_error


class PrettyJSONField(forms.JSONField):
    """JSON as people read it: indented, and in a monospaced box."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 6, "class": "sv-code", "spellcheck": "false"})
        super().__init__(**{"widget": widget, "required": False, **options})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput):  # what was typed and could not be read
            return value
        if value is None:
            return ""
        return json.dumps(value, indent=2, ensure_ascii=False)


class MetadataField(PrettyJSONField):
    """The contract's metadata, refused in the words of the API."""

    def __init__(self, **options: Any) -> None:
        words = "At most 16 pairs of texts, for your own use."
        super().__init__(**{"initial": dict, "help_text": words, **options})

    def clean(self, value: Any) -> dict[str, str]:
        data = super().clean(value)
        try:
            checked: dict[str, str] = Metadata().run_validation({} if data is None else data)
        except Refusal as refusal:
            raise forms.ValidationError(validation_error(Refusal({"metadata": refusal.detail})).message) from None
        return checked
