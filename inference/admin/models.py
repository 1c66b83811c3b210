"""Model names, other names for them, and what stands in for them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.forms import ModelForm
from django.forms.models import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from inference import resolution, services
from inference.admin.base import HouseAdmin, HouseInline
from inference.admin.live import live, serving
from inference.admin.testing import trial_page
from inference.admin.wording import NOTHING
from inference.models import Engine, ModelAlias, ModelFallback, RegisteredModel
from sovereign.accounts.admin.base import is_superuser
from sovereign.core.database import now
from sovereign.core.errors import ApiError


class FallbackForm(forms.ModelForm):
    """One model that stands in; the order is a number that may be typed again."""

    order = forms.IntegerField(
        min_value=1, widget=UnfoldAdminIntegerFieldWidget, help_text="The lowest is asked first."
    )

    class Meta:
        model = ModelFallback
        fields = ("fallback",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["order"] = self.instance.position

    def _get_validation_exclusions(self) -> set[str]:
        """Rows that change places would each find the other in their way: the service looks at all of them."""
        return {*super()._get_validation_exclusions(), "model", "fallback", "position"}  # type: ignore[misc]


class FallbackFormSet(BaseInlineFormSet):
    """All fallbacks of a model."""

    def clean(self) -> None:
        """:raises ValidationError: they lead back to the model, or are too many."""
        super().clean()
        if any(self.errors):
            return
        try:
            services.check_fallbacks(self.instance, self.chosen())
        except ApiError as error:
            raise forms.ValidationError(error.message) from None

    def chosen(self) -> list[RegisteredModel]:
        """The models in their order."""
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        ordered = sorted(kept, key=lambda form: form.cleaned_data["order"])
        return [form.cleaned_data["fallback"] for form in ordered]


class FallbackInline(HouseInline):
    model = ModelFallback
    fk_name = "model"
    form = FallbackForm
    formset = FallbackFormSet
    fields = ("order", "fallback")
    superusers_add = superusers_change = True
    hide_title = True
    verbose_name = "fallback"
    verbose_name_plural = "Fallbacks: asked, in their order, where no engine of this model can begin an answer"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if self.has_change_permission(request, obj) else ("position", "fallback")


class AliasInline(HouseInline):
    model = ModelAlias
    fields = ("alias",)
    superusers_add = True
    hide_title = True
    verbose_name = "alias"
    verbose_name_plural = "Aliases: other names that requests may use for it"


@admin.register(RegisteredModel)
class RegisteredModelAdmin(HouseAdmin):
    empty_words = "Models appear as soon as an engine or a provider serves them."
    superusers_change = True  # of what stands beside it: itself is reported
    list_display = (
        "name",
        "shown_state",
        "default_shown",
        "served_by",
        "fallbacks_shown",
        "context_length",
        "created_at",
    )
    search_fields = ("name", "aliases__alias")
    search_help_text = "Name or alias"
    list_before_template = "admin/inference/models.html"
    fields = ("name", "shown_state", "default_shown", "served_by", "source", "context_length", "created_at")
    readonly_fields = fields
    inlines = (AliasInline, FallbackInline)
    actions = ("make_default",)
    actions_detail = ("test_model",)
    change_form_outer_before_template = "admin/inference/engines_now.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        model = self.get_object(request, unquote(object_id))
        shown = {"engines": live(serving(model.name))} if model is not None else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        found: QuerySet[RegisteredModel] = super().get_queryset(request).prefetch_related("fallbacks__fallback")
        instant = now()
        serving: dict[str, list[tuple[str, bool]]] = {}
        for engine in Engine.objects.usable_by(None).select_related("provider"):
            owner = engine.provider.name if engine.provider is not None else f"vLLM ({engine.name})"
            for entry in engine.served:
                serving.setdefault(entry["id"], []).append((owner, engine.is_ready(instant)))
        self._serving, self._default = serving, resolution.default_model()  # the same for everybody
        return found

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Nothing of the model itself is changed here."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        if isinstance(formset, FallbackFormSet):
            services.set_fallbacks(model=form.instance, fallbacks=formset.chosen(), user_id=request.user.pk)
            return
        for alias in formset.deleted_objects:
            services.remove(alias, user_id=request.user.pk)
        for alias in formset.new_objects:
            made = services.add_alias(alias=alias.alias, model=form.instance, user_id=request.user.pk)
            alias.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        services.delete_model(model=obj, user_id=request.user.pk)

    @display(description="state", label={"ready": "success", "not running": "warning"})
    def shown_state(self, model: RegisteredModel) -> str:
        return "ready" if any(ready for _, ready in self._serving.get(model.name, [])) else "not running"

    @display(description="default", label={"chosen": "success", "by itself": "info"})
    def default_shown(self, model: RegisteredModel) -> str | None:
        if model.is_default:
            return "chosen"
        return "by itself" if model.name == self._default else None

    @admin.display(description="served by")
    def served_by(self, model: RegisteredModel) -> str:
        return ", ".join(name for name, _ in self._serving.get(model.name, [])) or NOTHING

    @admin.display(description="fallbacks")
    def fallbacks_shown(self, model: RegisteredModel) -> str:
        return ", ".join(fallback.fallback.name for fallback in model.fallbacks.all()) or NOTHING

    def has_test_permission(self, request: HttpRequest, object_id: str) -> bool:
        return is_superuser(request)

    @action(description="Test", url_path="test", permissions=["test"], icon="network_check")
    def test_model(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        model = self.get_object(request, unquote(object_id))
        if model is None:
            raise Http404("no such model")
        target = resolution.Target(model.name)
        makes_vectors = not resolution.registry_of(None).is_able(target, "chat")
        return trial_page(request, self.admin_site, model, [(model.name, makes_vectors)], None)

    @admin.action(description="Make the default model", permissions=["write"])
    def make_default(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        model = queryset.first()
        if model is None or queryset.count() != 1:
            self.message_user(request, "Choose one model.", messages.ERROR)
            return
        services.set_default_model(model=model, user_id=request.user.pk)
        self.message_user(request, f"{model.name} is the default model now.", messages.SUCCESS)


@admin.register(ModelAlias)
class ModelAliasAdmin(HouseAdmin):
    empty_words = "An alias is one more name of a model: programs keep asking for it when the model is another one."
    superusers_add = True
    list_display = ("alias", "model", "created_at")
    search_fields = ("alias", "model__name")
    list_select_related = ("model",)
    fields = ("alias", "model")

    def save_model(self, request: HttpRequest, obj: ModelAlias, form: ModelForm[ModelAlias], change: bool) -> None:
        made = services.add_alias(alias=obj.alias, model=obj.model, user_id=request.user.pk)
        obj.pk, obj.created_at = made.pk, made.created_at
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        services.remove(obj, user_id=request.user.pk)
