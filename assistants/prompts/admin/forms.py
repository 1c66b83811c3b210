"""The form of a prompt: what is said of it, and the text of its newest version, of which a change makes another one."""

from __future__ import annotations

import re
from copy import copy
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from assistants.prompts.models import NOTES_LENGTH, Prompt, PromptVersion
from assistants.prompts.services import newest_of
from assistants.prompts.services.prompts import FIELDS, apply_description
from assistants.prompts.services.wording import checked_version
from assistants.prompts.template import TEMPLATE_LENGTH
from sovereign.accounts.admin.careful import CarefulForm
from sovereign.accounts.admin.fields import PrettyJSONField
from sovereign.core.errors import ApiError

WORDING = ("template", "variables", "notes", "expected_version")
SYNTAX = (
    "{{ name }} stands for a variable's value, {{# name }}…{{/ name }} for what is said where there is one (of a list: "
    "once for each of its texts, {{ . }}), {{^ name }}…{{/ name }} for what is said where there is none. \\{{ is two "
    "braces."
)


class PromptForm(CarefulForm):
    newest: PromptVersion | None = None

    tags = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="Words to find it by, with commas between them."
    )
    template = forms.CharField(
        strip=False,
        label="Text",
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 18, "class": "sv-code", "data-editor": "", "data-maximum": TEMPLATE_LENGTH}
        ),
        help_text=SYNTAX,
    )
    variables = PrettyJSONField(
        initial=list, help_text='A list such as [{"name": "company", "type": "string", "required": true}].'
    )
    notes = forms.CharField(
        required=False,
        max_length=NOTES_LENGTH,
        label="What was changed, and why",
        widget=UnfoldAdminTextInputWidget,
        help_text="Stands in the history. Another text is another version; labels stay where they are.",
    )
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Prompt
        fields = (*FIELDS, "project")
        help_texts = {"name": "Once in a project.", "description": "For people who look for it."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "template" not in self.fields:
            return
        self.initial["tags"] = ", ".join(self.instance.tags)
        if not self.instance._state.adding:
            self.newest = newest = newest_of(self.instance)
            self.initial["template"] = newest.template
            self.initial["variables"] = newest.variables
            self.initial["expected_version"] = newest.number

    def clean_template(self) -> str:
        """Browsers end lines in their own way: who changed nothing has changed nothing."""
        typed = _lines(self.cleaned_data["template"])
        kept = self.newest.template if self.newest is not None else typed
        return kept if typed == _lines(kept) else typed

    def clean_variables(self) -> list[Any]:
        value: list[Any] | None = self.cleaned_data["variables"]
        return [] if value is None else value

    def clean_tags(self) -> list[str]:
        return [tag for tag in map(str.strip, self.cleaned_data["tags"].split(",")) if tag]

    def clean(self) -> dict[str, Any]:
        """Ask the services, and say what they refuse at the field that is wrong."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        described: Any = {name: cleaned[name] for name in FIELDS}
        try:
            apply_description(copy(self.instance), **described)
            self.wording = checked_version(cleaned["template"], cleaned["variables"], cleaned["notes"])
        except ApiError as error:
            field = re.split(r"[.\[]", error.param or "")[0]
            self.add_error(field if field in self.fields else None, error.message)
        else:
            self._refuse_overwriting(cleaned)
        return cleaned

    @property
    def has_new_wording(self) -> bool:
        newest = self.newest
        said = self.wording["template"], self.wording["variables"]
        return newest is None or said != (newest.template, newest.variables)

    def _refuse_overwriting(self, cleaned: dict[str, Any]) -> None:
        """What was typed is given back, to be looked at and saved once more."""
        newest, seen = self.newest, cleaned.get("expected_version")
        if newest is None or seen in (None, newest.number) or not self.has_new_wording:
            return
        data: Any = copy(self.data)
        data[self.add_prefix("expected_version")] = str(newest.number)
        self.data = data
        self.add_error(
            "template",
            f"Version {newest.number} was added meanwhile. Your text stands here as you typed it: compare it with that "
            "one in the history below, and save again to have yours follow it.",
        )


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
