"""Choosing the model of an assistant: what there is, what it can do, and whether it runs now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from assistants.models import MODEL_LENGTH
from inference import gateway
from sovereign.accounts.admin.base import ProjectAdmin, projects_allowing

STATES = "admin:assistants_assistant_models"
READY, ASLEEP, OTHER, GONE = "ready", "not running now", "the default model answers", "gone"


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """A model that may be chosen, in words.

    :ivar state: one of ``READY`` …
    :ivar can: what it can do besides answering, one word each.
    """

    name: str
    state: str
    meant: str = ""
    provider: str = ""
    context_length: int | None = None
    can: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return self.state == READY

    def __str__(self) -> str:
        return self.name


class ModelPicker(forms.RadioSelect):
    """One radio button a model, each with what is known of it.

    :ivar address: where the page asks for the states as they are now.
    """

    address = ""

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        options = [option for _, group, _ in context["widget"]["optgroups"] for option in group]
        return render_to_string(
            "admin/assistants/models.html", {**context, "options": options, "address": self.address}
        )


class ModelField(forms.CharField):
    widget = ModelPicker

    def __init__(self) -> None:
        super().__init__(
            max_length=MODEL_LENGTH,
            help_text="What answers. A model that is not running now may be chosen: its runs wait for it.",
        )

    def offer(self, current: str, projects: Sequence[str | None]) -> None:
        """The models that these projects may use, and the present one in any case."""
        self.widget.choices = [(one.name, one) for one in offered(current, projects)]
        self.widget.address = reverse(STATES) + (
            f"?project={projects[0]}" if len(projects) == 1 and projects[0] else ""
        )


def offered(current: str, projects: Sequence[str | None]) -> list[ModelOffer]:
    """The models that can chat, and their aliases, as these projects may use them, with what stands behind them now."""
    meant = {
        entry.id: entry for project_id in projects for entry in gateway.models(project_id) if entry.capabilities.chat
    }
    offers = [_offer(name, entry) for name, entry in meant.items()]
    if current and current not in meant:
        answers = gateway.meanings([current], project_id=projects[0])[current]
        offers.append(ModelOffer(current, GONE if answers is None else OTHER, meant=answers or ""))
    return offers


class ModelsOnPage(ProjectAdmin):
    """What the page asks for while it is open; the page of assistants derives from this."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.models_view)
        return [path("models.json", view, name="assistants_assistant_models"), *super().get_urls()]

    def models_view(self, request: HttpRequest) -> HttpResponse:
        """``?project=``: ``{name: state}`` of what may be chosen there; without it in all projects of the person."""
        allowed = projects_allowing(request, self.add_scope)
        asked = request.GET.get("project")
        if asked is not None and allowed is not None and asked not in allowed:
            raise Http404("no such project")
        everywhere: Sequence[str | None] = [None] if allowed is None else sorted(allowed) or [""]
        states = {one.name: one.state for one in offered("", everywhere if asked is None else [asked])}
        return JsonResponse(states, headers={"Cache-Control": "no-store"})


def _offer(name: str, entry: gateway.ModelEntry) -> ModelOffer:
    able = entry.capabilities
    can = [words for words, has in (("tools", able.tools), ("images", able.vision), ("JSON", able.json_schema)) if has]
    return ModelOffer(
        name,
        READY if entry.ready else ASLEEP,
        meant=entry.model if name != entry.model else "",
        provider=entry.provider,
        context_length=able.context_length,
        can=tuple(can),
    )
