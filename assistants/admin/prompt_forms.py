"""How an assistant has a prompt, as a form: conditions have fields of their own, and nobody writes JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from assistants.models import PromptLink
from assistants.prompting.conditions import DAYS, NAME_LENGTH, as_text
from assistants.prompts.models import LABEL_LENGTH
from sovereign.accounts.admin.careful import Compared
from sovereign.core.errors import ApiError

LINES = {"rows": 3, "spellcheck": "false"}
LONGEST = 8_000  # characters of lines

#: where the service's words about a field are shown
SHOWN_AT = {
    "prompt_id": "prompt",
    "version": "meant",
    "label": "meant",
    "conditions.language": "languages",
    "conditions.user_group": "groups",
    "conditions.variables": "variables",
    "conditions.time.days": "days",
    "conditions.time.timezone": "timezone",
    "conditions.time": "begins",
}


class LinesField(forms.CharField):
    """``name = value``, one a line; several values have commas between them, or are a list as JSON has it."""

    def __init__(self, *, is_list: bool, **options: Any) -> None:
        self.is_list = is_list
        widget = UnfoldAdminTextareaWidget(attrs=LINES)
        super().__init__(required=False, max_length=LONGEST, widget=widget, **options)

    def to_python(self, value: Any) -> Any:
        found: dict[str, Any] = {}
        for line in (super().to_python(value) or "").splitlines():
            name, sign, rest = (part.strip() for part in line.partition("="))
            if not line.strip():
                continue
            if not sign or not name:
                raise forms.ValidationError(f"'{line[:NAME_LENGTH]}': write name = value.")
            found[name] = _values(rest) if self.is_list else rest
        return found

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return "\n".join(f"{name} = {_line(values)}" for name, values in value.items())


class LinkForm(Compared, forms.Form):
    """Adding a prompt; without ``prompt`` changing how an assistant has it, which is what ``link`` says."""

    prompt = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    meant = forms.CharField(
        label="Version",
        required=False,
        max_length=LABEL_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="A number or a label, such as production. Empty: the newest.",
    )
    kind = forms.ChoiceField(choices=PromptLink.Kind.choices, widget=UnfoldAdminSelectWidget)
    priority = forms.IntegerField(
        initial=0, widget=UnfoldAdminIntegerFieldWidget, help_text="Of those that fit, the highest is taken."
    )
    weight = forms.IntegerField(
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Per cent of the threads, among equals. Empty: its part of the rest.",
    )
    languages = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="Such as de, pt-BR. Empty: every one."
    )
    groups = forms.CharField(
        label="User groups", required=False, widget=UnfoldAdminTextInputWidget, help_text="Such as analyst, admin."
    )
    begins = forms.CharField(
        label="From", required=False, widget=UnfoldAdminTextInputWidget, help_text="Such as 08:00."
    )
    ends = forms.CharField(label="To", required=False, widget=UnfoldAdminTextInputWidget, help_text="Such as 18:00.")
    days = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text=f"Of {', '.join(DAYS)}. Empty: every day."
    )
    timezone = forms.CharField(
        label="Time zone",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Such as Europe/Berlin. Empty: the asker's, or UTC.",
    )
    variables = LinesField(
        is_list=True, label="Metadata", help_text="Of the thread or run, one a line: plan = pro, team"
    )
    is_enabled = forms.BooleanField(label="Enabled", required=False, initial=True, widget=UnfoldBooleanSwitchWidget)

    def __init__(
        self,
        *args: Any,
        prompts: Sequence[tuple[str, str]] | None = None,
        link: PromptLink | None = None,
        **kwargs: Any,
    ) -> None:
        if link is not None:
            kwargs["initial"] = initial_of(link)
        super().__init__(*args, **kwargs)
        self.link = link
        if prompts is None:
            del self.fields["prompt"]
        else:
            field: Any = self.fields["prompt"]
            field.choices = [("", "Choose one"), *prompts]

    def changed_row(self) -> PromptLink | None:
        return self.link

    def placing(self) -> dict[str, Any]:
        """What ``assistants.services.links`` wants."""
        data, meant = self.cleaned_data, self.cleaned_data["meant"].strip()
        is_number = meant.isascii() and meant.isdigit()
        return {
            "version": int(meant[:9]) if is_number else None,
            "label": None if is_number else meant or None,
            **{name: data[name] for name in ("kind", "priority", "weight", "is_enabled")},
            "conditions": self._conditions(data),
        }

    def _conditions(self, data: Mapping[str, Any]) -> dict[str, Any]:
        time = {"from": data["begins"].strip(), "to": data["ends"].strip(), "days": _listed(data["days"]),
                "timezone": data["timezone"].strip()}  # fmt: skip
        asked = {
            "variables": data["variables"],
            "language": _listed(data["languages"]),
            "user_group": _listed(data["groups"]),
            "time": {name: value for name, value in time.items() if value},
        }
        return {name: value for name, value in asked.items() if value}

    def refuse(self, error: ApiError) -> None:
        """Say what the service refused at the field that is wrong."""
        param = error.param or ""
        at = next((field for prefix, field in SHOWN_AT.items() if param.startswith(prefix)), param)
        self.add_error(at if at in self.fields else None, error.message)


class TryForm(forms.Form):
    """An occasion: what would a run get?"""

    metadata = LinesField(is_list=False, help_text="Of the thread and the run, one a line: language = de")
    group = forms.CharField(
        label="User group", required=False, max_length=NAME_LENGTH, widget=UnfoldAdminTextInputWidget
    )
    thread = forms.CharField(
        required=False,
        max_length=NAME_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="Its id, or any word: it decides about weights.",
    )


def initial_of(link: PromptLink) -> dict[str, Any]:
    """A link as the form shows it."""
    asked = link.conditions
    time = asked.get("time", {})
    return {
        "meant": str(link.version.number) if link.version is not None else link.label,
        **{name: getattr(link, name) for name in ("kind", "priority", "weight", "is_enabled")},
        "languages": ", ".join(asked.get("language", [])),
        "groups": ", ".join(asked.get("user_group", [])),
        "variables": asked.get("variables", {}),
        "begins": time.get("from", ""),
        "ends": time.get("to", ""),
        "days": ", ".join(time.get("days", [])),
        "timezone": time.get("timezone", ""),
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _values(text: str) -> Any:
    if not text.startswith("["):
        return _listed(text) or [""]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise forms.ValidationError(f"'{text[:NAME_LENGTH]}' is no list as JSON has it.") from None


def _line(values: Any) -> str:
    if not isinstance(values, list):
        return str(values)
    texts = [as_text(value) for value in values]
    is_plain = all(text.strip() == text and text and "," not in text and text.isprintable() for text in texts)
    return ", ".join(texts) if is_plain and not texts[0].startswith("[") else json.dumps(values)
