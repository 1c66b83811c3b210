"""The page on which an Ollama is told to fetch a model."""

from __future__ import annotations

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite
from unfold.widgets import UnfoldAdminTextInputWidget

from inference import services
from inference.admin.base import is_superuser
from inference.chat import EngineUnavailable
from inference.endpoints import endpoint_of
from inference.engines.pulling import pull_frames
from inference.models import Engine, Provider
from sovereign.core.sse import sse_response


class PullForm(forms.Form):
    model = forms.RegexField(
        r"^[\w.:/-]+$",
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "llama3.2:3b", "autocomplete": "off"}),
        error_messages={"invalid": "Letters, digits and . : / - _, as in llama3.2:3b."},
    )


def pull_page(request: HttpRequest, provider_id: str, site: UnfoldAdminSite) -> HttpResponseBase:
    """The page; a ``POST`` from it starts the pull and streams its progress for as long as it is read.

    :raises PermissionDenied: no superuser.
    """
    if not is_superuser(request):
        raise PermissionDenied
    provider = Provider.objects.filter(pk=provider_id, kind=Provider.Kind.OLLAMA, enabled=True).first()
    if provider is None:
        raise Http404("no enabled Ollama")
    if request.method != "POST":
        context = {
            **site.each_context(request),
            "title": f"Pull a model into {provider.name}",
            "opts": Provider._meta,
            "provider": provider,
            "form": PullForm(),
        }
        return TemplateResponse(request, "admin/inference/pull.html", context)
    form = PullForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"message": " ".join(map(str, form.errors["model"]))}, status=400)
    try:
        endpoint = endpoint_of(Engine.objects.select_related("provider").get(provider=provider), "")
    except EngineUnavailable as error:
        return JsonResponse({"message": error.detail}, status=503)
    model = form.cleaned_data["model"]
    services.record_pull(provider=provider, model=model, user_id=request.user.pk)
    return sse_response(pull_frames(endpoint, model))
