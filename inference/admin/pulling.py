"""The page on which an Ollama is told to fetch a model, and where it is found again how far that is."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite
from unfold.widgets import UnfoldAdminTextInputWidget

from inference import services
from inference.models import ModelPull, Provider
from sovereign.accounts.admin.base import is_superuser
from sovereign.core.errors import ApiError

SHOWN = 10  # pulls that are over
GIGABYTE = 10**9
LABELS = {
    ModelPull.Status.QUEUED: "warning",
    ModelPull.Status.IN_PROGRESS: "info",
    ModelPull.Status.COMPLETED: "success",
    ModelPull.Status.FAILED: "danger",
    ModelPull.Status.CANCELLED: "default",
}


class PullForm(forms.Form):
    model = forms.RegexField(
        r"^[\w.:/-]+$",
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "llama3.2:3b", "autocomplete": "off"}),
        error_messages={"invalid": "Letters, digits and . : / - _, as in llama3.2:3b."},
    )


def pull_page(request: HttpRequest, provider_id: str, site: UnfoldAdminSite) -> HttpResponseBase:
    """The page; a ``POST`` from it begins a pull, or with ``cancel`` (an id) calls one off.

    :raises PermissionDenied: no superuser.
    """
    if not is_superuser(request):
        raise PermissionDenied
    provider = Provider.objects.filter(pk=provider_id, kind=Provider.Kind.OLLAMA, enabled=True).first()
    if provider is None:
        raise Http404("no enabled Ollama")
    form = PullForm(request.POST if request.method == "POST" and "cancel" not in request.POST else None)
    if request.method == "POST" and ("cancel" in request.POST or form.is_valid()):
        _do(request, provider, form)
        return HttpResponseRedirect(request.path)
    context = {
        **site.each_context(request),
        "title": f"Pull a model into {provider.name}",
        "opts": Provider._meta,
        "provider": provider,
        "form": form,
        **pulls_of(provider),
    }
    return TemplateResponse(request, "admin/inference/pull.html", context, status=400 if form.errors else 200)


def pulls_of(provider: Provider) -> dict[str, Any]:
    """What is under way at a provider, and what ended lately, for ``pulls.html``."""
    rows = ModelPull.objects.filter(provider=provider)
    active = [shown(pull) for pull in rows.active().order_by("created_at", "id")]
    ended = [shown(pull) for pull in rows.exclude(ended_at=None)[:SHOWN]]
    return {"active": active, "ended": ended}


def shown(pull: ModelPull) -> dict[str, Any]:
    """A pull in words."""
    return {
        "id": pull.pk,
        "model": pull.model,
        "status": pull.get_status_display(),
        "label": LABELS[ModelPull.Status(pull.status)],
        "percent": pull.percent,
        "words": words_of(pull),
        "began": pull.created_at,
        "ended": pull.ended_at,
        "error": pull.error,
    }


def words_of(pull: ModelPull) -> str:
    """``pulling 8eeb: 0.50 of 2.00 GB``."""
    if pull.status == ModelPull.Status.QUEUED:
        return "A worker takes it within a second."
    if pull.is_over:
        return ""
    if not pull.total_bytes:
        return pull.step
    return f"{pull.step}: {pull.completed_bytes / GIGABYTE:.2f} of {pull.total_bytes / GIGABYTE:.2f} GB"


def _do(request: HttpRequest, provider: Provider, form: PullForm) -> None:
    try:
        if "cancel" in request.POST:
            asked = request.POST["cancel"]
            wanted = None if "\x00" in asked else ModelPull.objects.filter(provider=provider, pk=asked).first()
            if wanted is None:
                raise Http404("no such pull")
            services.cancel_pull(pull_id=wanted.pk, user_id=request.user.pk)
            messages.success(request, "Called off. What was fetched is kept: another pull goes on from there.")
        else:
            model = form.cleaned_data["model"]
            services.begin_pull(provider=provider, model=model, user_id=request.user.pk)
            messages.success(request, f"{model} is being pulled. You may leave this page.")
    except ApiError as error:
        messages.error(request, error.message)
