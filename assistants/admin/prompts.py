"""The prompts of an assistant in the admin: which it has and when, what is suggested, and what a run would get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from unfold.decorators import action

from assistants import suggestions
from assistants.admin.prompt_forms import LinkForm, TryForm
from assistants.admin.tabs import CONFIGURE, tabs
from assistants.models import Assistant, LifeStatus, PromptLink
from assistants.prompting import conditions
from assistants.prompts.models import Prompt, PromptVersion
from assistants.resolution import resolve
from assistants.services import links, locked_assistant
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import ASSISTANTS_WRITE, PROMPTS_READ
from sovereign.core.database import transact
from sovereign.core.errors import ApiError, not_found
from sovereign.core.visible import visible

OFFERED = 1_000  # prompts in the list to choose from
ROUTE = "<path:object_id>/prompts/"
PAGE = "admin:assistants_assistant_prompts"
LINK_PAGE = "admin:assistants_assistant_prompt"

Kind = PromptLink.Kind


class PromptsOnPage(ProjectAdmin):
    """The pages of an assistant's prompts; the page of the assistant itself derives from this."""

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "prompts": ("", self.prompts_view),
            "prompt": ("<str:link_id>/", self.prompt_view),
        }
        own = [
            path(f"{ROUTE}{route}", self.admin_site.admin_view(view), name=f"assistants_assistant_{name}")
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    @action(description="Prompts", url_path="its-prompts", icon="format_quote")
    def its_prompts(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse(PAGE, args=[object_id]))

    def prompts_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """``GET``: those that it has, what is suggested, and with ``?try=1`` what a run gets. ``POST``: one more, or
        (``move``, ``order``) another order."""
        assistant = self._prompted(request, object_id)
        if request.method == "POST" and ("move" in request.POST or "order" in request.POST):
            return self._ordered(request, assistant)
        form = self._adding(request, assistant)
        if request.method == "POST" and form.is_valid():
            principal = self.principal_for(request, assistant)
            prompt_id, placing = form.cleaned_data["prompt"], form.placing()

            def link() -> None:
                links.link_prompt(principal=principal, assistant_id=assistant.pk, prompt_id=prompt_id, **placing)

            if self._done(request, assistant, form, "assistant.link_prompt", link, "The assistant has the prompt."):
                return HttpResponseRedirect(_page_of(assistant))
        return self._prompts_page(
            request, assistant, "admin/assistants/prompts.html", self._shown(request, assistant, form)
        )

    def prompt_view(self, request: HttpRequest, object_id: str, link_id: str) -> HttpResponse:
        """``GET``: how it has one of them. ``POST``: that is changed, or (``take``) it is taken away.

        Between the comparison with what the page showed and what is saved nobody else saves.
        """
        assistant = self._prompted(request, object_id)
        if request.method != "POST":
            return self._prompt_view(request, assistant, link_id)
        with transaction.atomic():
            locked_assistant(principal=self.principal_for(request, assistant), assistant_id=assistant.pk)
            return self._prompt_view(request, assistant, link_id)

    def _prompt_view(self, request: HttpRequest, assistant: Assistant, link_id: str) -> HttpResponse:
        principal = self.principal_for(request, assistant)
        try:
            link = links.link_named(principal=principal, assistant_id=assistant.pk, name=unquote(link_id))
        except ApiError as error:
            raise Http404(error.message) from None
        form = LinkForm(request.POST or None, link=link)
        taken = "take" in request.POST
        if request.method == "POST" and (taken or form.is_valid()):

            def change() -> None:
                named: dict[str, Any] = {"principal": principal, "assistant_id": assistant.pk, "name": link.pk}
                if taken:
                    transact(partial(links.unlink_prompt, **named))
                else:
                    transact(partial(links.update_link, **named, **form.placing()))

            wish, words = (
                ("assistant.unlink_prompt", f"The assistant has {link.prompt} no more.")
                if taken
                else ("assistant.change_prompt_link", "Saved.")
            )
            if self._done(request, assistant, form, wish, change, words):
                return HttpResponseRedirect(_page_of(assistant))
        context = {
            "title": f"{link.prompt} of {assistant}",
            "form": form,
            "adminform": {"form": form},
            "row": _rows(assistant, [link])[0],
        }
        return self._prompts_page(request, assistant, "admin/assistants/prompt.html", context)

    def _ordered(self, request: HttpRequest, assistant: Assistant) -> HttpResponse:
        """``move``: one link ``up`` or ``down``, ``"link_…:up"``; ``order``: all links of a kind, with commas."""
        principal = self.principal_for(request, assistant)
        name, _, way = request.POST.get("move", "").partition(":")
        found = sorted(links.links_of(principal=principal, assistant_id=assistant.pk), key=_looked_at)
        names = [one for one in request.POST.get("order", "").split(",") if one]
        at = name or (names[0] if names else "")
        kind = next((link.kind for link in found if link.pk == at), None)
        try:
            if kind is None:
                raise not_found("prompt of the assistant", at)
            if name:
                names = _moved([link for link in found if link.kind == kind], name, -1 if way == "up" else 1)
            links.order_links(principal=principal, assistant_id=assistant.pk, kind=kind, names=names)
        except ApiError as error:
            audit.refused(principal, "assistant.order_prompts", "assistant", assistant.pk, error)
            self.message_user(request, error.message, messages.ERROR)
        moved = f"#moved-{'up' if way == 'up' else 'down'}-{at}" if name else ""  # where the script puts the focus
        return HttpResponseRedirect(f"{_page_of(assistant)}{moved}")

    # ------------------------------------------------------------------------------------- helpers

    def _prompted(self, request: HttpRequest, object_id: str) -> Assistant:
        """:raises Http404: unknown, or not seen. :raises PermissionDenied: seen, and not to be changed."""
        assistant: Assistant | None = self.get_object(request, unquote(object_id))
        if assistant is None or not self.has_view_permission(request, assistant):
            raise Http404("no such assistant")
        if not self.allowed(request, PROMPTS_READ, assistant):
            raise PermissionDenied
        if request.method == "POST" and not self.allowed(request, ASSISTANTS_WRITE, assistant):
            raise PermissionDenied
        return assistant

    def _adding(self, request: HttpRequest, assistant: Assistant) -> LinkForm:
        prompts = Prompt.objects.filter(project_id=assistant.project_id).order_by("name").values_list("pk", "name")
        initial = {"prompt": request.GET.get("prompt", ""), "kind": request.GET.get("kind", "")}
        return LinkForm(request.POST or None, prompts=list(prompts[:OFFERED]), initial=initial)

    def _shown(self, request: HttpRequest, assistant: Assistant, form: LinkForm) -> dict[str, Any]:
        principal = self.principal_for(request, assistant)
        found = links.links_of(principal=principal, assistant_id=assistant.pk)
        suggested = suggestions.suggest(principal=principal, assistant_id=assistant.pk)[: suggestions.USUAL]
        trying = TryForm(request.GET if "try" in request.GET else None)
        return {
            "title": f"Prompts of {assistant}",
            "rows": _rows(assistant, sorted(found, key=_looked_at)),
            "problem": _problem(assistant),
            "form": form,
            "has_library": len(form.fields["prompt"].choices) > 1,  # type: ignore[attr-defined]
            "suggested": [(one, _library_page(one.prompt.pk)) for one in suggested],
            "trying": trying,
            "tried": _tried(assistant, trying.cleaned_data) if trying.is_bound and trying.is_valid() else None,
        }

    def _prompts_page(
        self, request: HttpRequest, assistant: Assistant, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        may_change = self.allowed(request, ASSISTANTS_WRITE, assistant) and assistant.status != LifeStatus.ARCHIVED
        common = {
            **self.admin_site.each_context(request),
            "assistant": assistant,
            "tabs": tabs(request, assistant, CONFIGURE),
            "address": reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)]),
            "prompts_address": _page_of(assistant),
            "may_change": may_change,
        }
        return TemplateResponse(request, template, {**common, **context})

    def _done(
        self,
        request: HttpRequest,
        assistant: Assistant,
        form: LinkForm,
        wish: str,
        change: Callable[[], None],
        words: str,
    ) -> bool:
        """Do it, or say and record why not."""
        try:
            change()
        except ApiError as error:
            audit.refused(self.principal_for(request, assistant), wish, "assistant", assistant.pk, error)
            if form.is_bound and form.is_valid():
                form.refuse(error)
            else:
                self.message_user(request, error.message, messages.ERROR)
            return False
        self.message_user(request, words, messages.SUCCESS)
        return True


def _page_of(assistant: Assistant) -> str:
    return reverse(PAGE, args=[quote(assistant.pk)])


def _library_page(prompt_id: str) -> str:
    """The prompt's own page; empty where the library has none in the admin."""
    try:
        return reverse("admin:prompts_prompt_change", args=[quote(prompt_id)])
    except NoReverseMatch:
        return ""


def _looked_at(link: Any) -> tuple[int, int, str]:
    """Links in the order in which a run looks at them."""
    order = (Kind.PRIMARY, Kind.FALLBACK, Kind.SECONDARY)
    return order.index(link.kind), -link.priority, link.pk


def _moved(found: Sequence[Any], name: str, by: int) -> list[str]:
    """The ids of links with one of them moved by a place; those that share a place go, and are passed, together."""
    blocks = links.in_blocks(found)
    place = next(number for number, block in enumerate(blocks) if any(link.pk == name for link in block))
    block = blocks.pop(place)
    blocks.insert(max(place + by, 0), block)
    return [link.pk for block in blocks for link in block]


def _rows(assistant: Assistant, found: Sequence[Any]) -> list[dict[str, Any]]:
    meant = PromptVersion.objects.filter(pk__in={link.meant for link in found if link.meant})
    numbers = dict(meant.values_list("pk", "number"))
    return [
        {
            "link": link,
            "address": reverse(LINK_PAGE, args=[quote(assistant.pk), quote(link.pk)]),
            "library": _library_page(link.prompt_id),
            "kind": link.get_kind_display(),
            "meant": _meant(link, numbers.get(link.meant)),
            "is_lost": link.meant not in numbers,
            "is_first": place == 0 or found[place - 1].kind != link.kind,
            "is_last": place + 1 == len(found) or found[place + 1].kind != link.kind,
            "conditions": conditions.in_words(link.conditions),
        }
        for place, link in enumerate(found)
    ]


def _meant(link: Any, number: int | None) -> str:
    if number is None:
        return f"No version has the label '{link.label}' any more."
    if link.version is not None:
        return f"Version {number}"
    return f"{link.label}: version {number}" if link.label else f"The newest: version {number}"


def _problem(assistant: Assistant) -> str:
    """Why the draft could not be published as it is."""
    try:
        links.refuse_uneven_weights(assistant.pk)
    except ApiError as error:
        return error.message
    return ""


def _tried(assistant: Assistant, occasion: dict[str, Any]) -> dict[str, Any]:
    """What a run of the draft would be told."""
    resolved = resolve(
        assistant=assistant,
        environment=None,
        thread_id=occasion["thread"] or None,
        variables=occasion["metadata"],
        user_groups=[occasion["group"]] if occasion["group"] else [],
    )
    return {"used": resolved.prompts, "instructions": visible(resolved.instructions)}
