"""Providers: who else may be asked, by whom, and how much. A key is typed in, and never shown again."""

from __future__ import annotations

from copy import copy
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from inference import services
from inference.admin.base import STATE_LABELS, HouseAdmin
from inference.admin.live import live
from inference.admin.pulling import pull_page
from inference.admin.testing import models_of, trial_page
from inference.admin.wording import last_error_of, latency_of, moment, names_of, queue_of, state_of
from inference.engines.connection import ConnectionFailed, listed_models
from inference.engines.status import destinations
from inference.models import Engine, Provider
from inference.services.providers import OPTIONS
from sovereign.accounts.admin.base import is_superuser
from sovereign.accounts.admin.careful import CarefulChanges, CarefulForm
from sovereign.accounts.models import Project
from sovereign.core.errors import ApiError

DESCRIBED = tuple(services.Described.__annotations__)
TEST_BUTTON = "inference_provider_save_and_test"
TESTED_AT_ONCE = 3  # each may take five seconds
NAMES_SHOWN = 8


class ProviderForm(CarefulForm):
    new_key = forms.CharField(
        label="Key",
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Kept encrypted, sent to the address above and to nobody else, and never shown again.",
    )
    forget_key = forms.BooleanField(label="Forget the key", required=False, widget=UnfoldBooleanSwitchWidget)

    class Meta:
        model = Provider
        fields = ("kind", *DESCRIBED, "projects")
        labels = {
            "inner_network": "In the inner network",
            "key_variable": "Variable with the key",
            "requests_per_minute": "Requests a minute",
            "tokens_per_minute": "Tokens a minute",
            "concurrent_calls": "Calls at once",
            "first_token_seconds": "First token",
            "idle_seconds": "Pause in an answer",
            "total_seconds": "Whole answer",
        }
        help_texts = {
            "name": "As it is called here and in /api/v1/models/NAME.",
            "base_url": (
                "OpenAI: https://api.openai.com/v1 – Anthropic: https://api.anthropic.com – "
                "Ollama: http://host:11434 – others: what stands before /chat/completions, mostly ending in /v1."
            ),
            "inner_network": (
                "Its address may be one of your own network or of this machine, and http. "
                "Leave it off for services on the internet."
            ),
            "key_variable": (
                "In place of a key kept here: a variable of every process, such as MISTRAL_API_KEY. "
                "SOVEREIGN_KEY_VARIABLES says which host it is for."
            ),
            "projects": "Where not every project may use it: these.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "new_key" in self.fields and not self.instance._state.adding:
            self.fields["new_key"].label = "New key"
        if self.instance.sealed_key and "new_key" in self.fields:
            self.fields["new_key"].widget.attrs["placeholder"] = "A key is set. Type another one to replace it."
        if "options" in self.fields:
            self.fields["options"].widget.attrs["rows"] = 3
            self.fields["options"].help_text = options_help(self.instance)

    def given_key(self) -> str | None:
        """As ``services.update_provider`` wants it."""
        if self.cleaned_data.get("forget_key"):
            return ""
        return self.cleaned_data.get("new_key") or None

    def clean(self) -> dict[str, Any]:
        """Ask the service, and say what it refuses at the field that is wrong."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        row = copy(self.instance)  # as it is kept: the form has not written to it yet
        row.kind = cleaned.get("kind") or row.kind
        try:
            services.apply_description(row, key=self.given_key(), **described_in(cleaned))
        except ApiError as error:
            field = "new_key" if error.param == "key" else error.param
            self.add_error(field if field in self.fields else None, error.message)
        return cleaned


def options_help(provider: Provider) -> str:
    """What options there are, of every kind for a provider that is not made yet."""
    kinds = list(OPTIONS) if provider._state.adding else [provider.kind]
    known = "; ".join(f"{Provider.Kind(kind).label}: {', '.join(OPTIONS[kind])}" for kind in kinds if OPTIONS[kind])
    return f'A JSON object such as {{"keep_alive": "5m", "num_ctx": 8192}}. {known}.'


def described_in(cleaned: dict[str, Any]) -> Any:
    return {name: cleaned[name] if name != "options" else cleaned[name] or {} for name in DESCRIBED if name in cleaned}


@admin.register(Provider)
class ProviderAdmin(CarefulChanges, HouseAdmin):
    form = ProviderForm
    empty_words = "A provider is a server with models: Ollama, vLLM, OpenAI and others. Its models are then here."
    superusers_add = superusers_change = True
    list_display = (
        "name",
        "kind",
        "host",
        "shown_state",
        "reason",
        "granted",
        "models",
        "latency",
        "queue",
        "last_token",
    )
    list_filter = ("kind", "enabled", "source")
    search_fields = ("name", "base_url")
    list_before_template = "admin/inference/providers.html"
    change_form_outer_before_template = "admin/inference/provider_now.html"
    autocomplete_fields = ("projects",)
    actions = ("test_connection", "enable", "disable")
    actions_submit_line = ("save_and_test",)
    actions_detail = ("test_model", "pull_model")
    state_fields = ("models",)  # the panel above tells the rest
    described_fieldsets: tuple[tuple[str | None, dict[str, Any]], ...] = (
        (None, {"fields": ("name", "kind", "base_url", "inner_network", "enabled")}),
        ("Key", {"fields": ("key_state", "new_key", "forget_key", "key_variable"),
                 "description": "A key belongs to its address: with another address it has to be typed again."}),
        ("Who may use it", {"fields": ("all_projects", "projects"),
                            "description": "Their questions, instructions and tool outputs are sent to its address."}),
        ("Limits", {"fields": (("requests_per_minute", "tokens_per_minute", "concurrent_calls"),),
                    "description": "Of all projects together. Empty: no limit of ours."}),
        ("Patience, in seconds", {"fields": (("first_token_seconds", "idle_seconds", "total_seconds"),)}),
    )  # fmt: skip
    viewed = (
        *("name", "kind", "source", "base_url", "inner_network", "enabled", "key_state", "granted"),
        *("requests_per_minute", "tokens_per_minute", "concurrent_calls"),
        *("first_token_seconds", "idle_seconds", "total_seconds", "options"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        found: QuerySet[Provider] = super().get_queryset(request).select_related("engine").prefetch_related("projects")
        return found

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "destinations": destinations()})

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What is asked of others is asked after the commit: nobody waits on a lock meanwhile."""
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        is_saved = request.method == "POST" and response.status_code == HTTPStatus.FOUND
        if is_saved and TEST_BUTTON in request.POST and self.has_write_permission(request):
            provider = Provider.objects.filter(pk=unquote(str(args[0] if args else kwargs.get("object_id")))).first()
            if provider is not None:
                self._test(request, provider)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        provider = self.get_object(request, unquote(object_id))
        shown = {"engines": live([_engine(provider)])} if provider is not None else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    # ------------------------------------------------------------------------------------- rights

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _is_of_environment(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        is_set = isinstance(obj, Provider) and obj.enabled  # of the environment: whether its variable is
        return not (is_set and _is_of_environment(obj)) and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Its engine and its prices go with it, whoever may delete those by themselves."""
        found, counts, _, protected = super().get_deleted_objects(objs, request)
        return found, counts, set(), protected

    # ------------------------------------------------------------------------------------- the form

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        state = ("State", {"fields": self.state_fields})
        if obj is not None and not self.has_change_permission(request, obj):
            return [state, ("Description", {"fields": self.viewed})]
        described = [(title, dict(part)) for title, part in self.described_fieldsets]
        if obj is None:
            described[1][1]["fields"] = ("new_key", "key_variable")
        elif not obj.sealed_key:
            described[1][1]["fields"] = ("key_state", "new_key", "key_variable")
        if obj is None or OPTIONS[obj.kind]:
            described.append(("Options of its kind", {"fields": ("options",)}))
        return described if obj is None else [state, *described]

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        shown = ("key_state", "granted", *self.state_fields)
        return shown if obj is None else (*shown, "kind")

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:
        described, projects = described_in(form.cleaned_data), form.cleaned_data["projects"]
        if change:
            services.update_provider(
                provider=obj, key=form.given_key(), projects=projects, user_id=request.user.pk, **described
            )
            return
        made = services.create_provider(
            kind=obj.kind, key=form.given_key() or "", projects=projects, user_id=request.user.pk, **described
        )
        obj.pk, obj.created_at = made.pk, made.created_at
        obj._state.adding = False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The service has given the projects their rights."""

    def delete_model(self, request: HttpRequest, obj: Provider) -> None:
        services.delete_provider(provider=obj, user_id=request.user.pk)

    # ------------------------------------------------------------------------------------- actions

    @admin.action(description="Test the connection: list the models", permissions=["write"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        for provider in queryset[:TESTED_AT_ONCE]:
            self._test(request, provider)
        if (left := queryset.count() - TESTED_AT_ONCE) > 0:
            self.message_user(request, f"{left} more were not tested: three at a time.", messages.WARNING)

    def has_save_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Of the buttons below the form."""
        provider = Provider.objects.filter(pk=unquote(str(object_id))).first()
        return self.has_change_permission(request, provider)

    @action(description="Save and test the connection", permissions=["save"])
    def save_and_test(self, request: HttpRequest, obj: Provider) -> None:
        """A button of the form; see ``changeform_view``."""

    def has_test_permission(self, request: HttpRequest, object_id: str) -> bool:
        enabled = Provider.objects.filter(pk=unquote(str(object_id)), enabled=True)
        return is_superuser(request) and enabled.exists()

    @action(description="Test a model", url_path="test", permissions=["test"], icon="network_check")
    def test_model(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        provider = self.get_object(request, unquote(object_id))
        if provider is None:
            raise Http404("no such provider")
        engine = _engine(provider)
        return trial_page(request, self.admin_site, provider, models_of(engine), engine.pk)

    def has_pull_permission(self, request: HttpRequest, object_id: str) -> bool:
        pullable = Provider.objects.filter(pk=unquote(str(object_id)), kind=Provider.Kind.OLLAMA, enabled=True)
        return is_superuser(request) and pullable.exists()

    @action(description="Pull a model", url_path="pull", permissions=["pull"], icon="download")
    def pull_model(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return pull_page(request, unquote(object_id), self.admin_site)

    def _test(self, request: HttpRequest, provider: Provider) -> None:
        try:
            names = listed_models(provider)
        except ConnectionFailed as failure:
            self.message_user(request, f"{provider.name}: {failure}", messages.ERROR)
            return
        shown = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
        count = f"{len(names)} model{'s' if len(names) != 1 else ''}"
        self.message_user(request, f"{provider.name} answers with {count}: {shown or 'none'}.", messages.SUCCESS)

    @admin.action(description="Enable", permissions=["write"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._set_enabled(request, queryset, True)

    @admin.action(description="Disable: nothing is sent to it any more", permissions=["write"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        self._set_enabled(request, queryset, False)

    def _set_enabled(self, request: HttpRequest, queryset: QuerySet[Provider], enabled: bool) -> None:
        for provider in queryset:
            services.set_enabled(provider=provider, enabled=enabled, user_id=request.user.pk)
        self.message_user(request, "Enabled." if enabled else "Disabled.", messages.SUCCESS)

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="address", ordering="base_url")
    def host(self, provider: Provider) -> str:
        return _engine(provider).address

    @display(description="state", label=STATE_LABELS)
    def shown_state(self, provider: Provider) -> str:
        return state_of(_engine(provider))

    @admin.display(description="last error")
    def reason(self, provider: Provider) -> str:
        return _engine(provider).reason or last_error_of(_engine(provider))

    @admin.display(description="models")
    def models(self, provider: Provider) -> str:
        return names_of(_engine(provider), shown=3)

    @admin.display(description="latency")
    def latency(self, provider: Provider) -> str:
        return latency_of(_engine(provider))

    @admin.display(description="queue")
    def queue(self, provider: Provider) -> str:
        return queue_of(_engine(provider))

    @admin.display(description="last token")
    def last_token(self, provider: Provider) -> str:
        return moment(_engine(provider).last_token_at)

    @admin.display(description="projects")
    def granted(self, provider: Provider) -> str:
        """Who sees this page need not know the others' projects: their names are on the form of superusers alone."""
        count = len(provider.projects.all())
        return "every project" if provider.all_projects else f"{count or 'no'} project{'s' if count > 1 else ''}"

    @admin.display(description="key")
    def key_state(self, provider: Provider) -> str:
        if provider.key_variable:
            return f"from the environment variable {provider.key_variable}"
        return "set" if provider.sealed_key else "none"

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "projects":
            kwargs["queryset"] = Project.objects.order_by("name")  # archived ones keep what they were given
        return super().formfield_for_manytomany(db_field, request, **kwargs)


def _is_of_environment(obj: Model | None) -> bool:
    return isinstance(obj, Provider) and obj.source == Provider.Source.ENVIRONMENT


def _engine(provider: Provider) -> Engine:
    """Every provider has one; a row that was just made by hand elsewhere gets its own."""
    engine: Engine = getattr(provider, "engine", None) or services.keep_engine(provider)
    engine.provider = provider
    return engine
