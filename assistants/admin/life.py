"""The sections of an assistant's page about its life, and about what it may and how it speaks."""

from __future__ import annotations

import re
from typing import Any, cast

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from assistants import services
from assistants.admin.offers import Offer, OffersField
from assistants.kinds import Capability, every_capability
from assistants.models import MAXIMUM_SUGGESTIONS, LifeStatus
from assistants.services import traits
from sovereign.accounts.admin.careful import CarefulForm
from sovereign.core.errors import ApiError

LIFE = ("type", "status", "visibility", "tags")
LIMITS = ("context_memory_size", "default_max_tokens")
TRAITS = (*LIFE, "suggestions", "personality", "capabilities", *LIMITS)
NOTES = {
    Capability.TOOLS: "Without it the model is shown no tool, and its files are searched before it answers.",
    Capability.PARALLEL_TOOL_CALLS: "Without it one call a turn.",
    Capability.VISION: "Without it the model is told that there was an image.",
}
ARCHIVED = "It is archived: bring it back, as a draft or inactive, to change it."


class LifeOnForm(CarefulForm):
    """The fields of the sections; the form of the page derives from this."""

    may_hide = True  # whether the person may say who sees it

    tags = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Words to find it by, with commas between them.",
    )
    suggestions = forms.CharField(
        required=False,
        label="First questions",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=f"One on each line, at most {MAXIMUM_SUGGESTIONS}: the chat offers them to who begins with it.",
    )
    capabilities = OffersField(label="What it may do")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer_traits()
        if (status := cast(Any, self.fields.get("status"))) is not None:  # who only reads has none of the model's
            status.choices = [(after.value, after.label) for after in LifeStatus if after in self._within_reach()]
        if (visibility := self.fields.get("visibility")) is not None:
            visibility.disabled = not self.may_hide

    def _offer_traits(self) -> None:
        """Of the declared fields, which the form has for everybody."""
        self.initial["tags"] = ", ".join(self.instance.tags)
        self.initial["suggestions"] = "\n".join(self.instance.suggestions or [])
        offered = [(item.value, Offer(item.label, NOTES[item])) for item in Capability]
        cast(OffersField, self.fields["capabilities"]).offer(offered, "")
        self.initial.setdefault("capabilities", every_capability())

    def _within_reach(self) -> tuple[str, ...]:
        """The status it has, and those that it may get."""
        if self.instance._state.adding:
            return LifeStatus.DRAFT, LifeStatus.ACTIVE
        return self.instance.status, *services.TRANSITIONS[self.instance.status]

    def clean_tags(self) -> list[str]:
        return _checked("tags", re.split(r"[,\n]", self.cleaned_data["tags"]))

    def clean_suggestions(self) -> list[str]:
        return _checked("suggestions", self.cleaned_data["suggestions"].splitlines())

    def clean_status(self) -> str:
        status: str = self.cleaned_data["status"]
        is_kept = not self.instance._state.adding and status == self.instance.status
        if is_kept and status == LifeStatus.ARCHIVED:
            raise forms.ValidationError(ARCHIVED)
        return status


def _checked(name: str, texts: list[str]) -> list[str]:
    """A trait that is a list, as it is stored; of what was written those that are not empty."""
    try:
        checked: list[str] = traits.checked({name: [text.strip() for text in texts if text.strip()]})[name]
    except ApiError as error:
        raise forms.ValidationError(error.message) from None
    return checked
