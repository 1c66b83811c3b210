"""The audit log: to be read, never to be written. Found by who, what, when and about what, and told in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold.views import ChangeList

from sovereign.accounts import audit
from sovereign.accounts.admin import sentences
from sovereign.accounts.admin.base import ProjectAdmin, page_of, projects_allowing
from sovereign.accounts.models import ApiKey, AuditEvent, User
from sovereign.accounts.scopes import AUDIT_READ
from sovereign.core import times

PRODUCT = "the product"
PEOPLE_OFFERED = 200
KINDS_NAMED = 6  # of the objects on a page: each is a query
TOLD = {"assistant": "assistant", "clone": "assistant", "prompt": "prompt"}  # ids in details, and of what kind
FILTERS = ("who", "what", "about", "first", "last")
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)  # days that are instants in every zone of the earth


def day(label: str) -> forms.DateField:
    within = [MinValueValidator(EARLIEST), MaxValueValidator(LATEST)]
    return forms.DateField(
        required=False, label=label, widget=forms.DateInput(attrs={"type": "date"}), validators=within
    )


class AuditFilter(forms.Form):
    """What is looked for; what cannot be read is told at its field, and finds nothing."""

    who = forms.CharField(required=False, max_length=150, label="Who")
    what = forms.ChoiceField(required=False, label="What", choices=lambda: [("", "anything"), *sentences.actions()])
    about = forms.CharField(required=False, max_length=audit.ID_LENGTH, label="About")
    first = day("From")
    last = day("To")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["who"].widget.attrs |= {"list": "audit-people", "placeholder": "user name, key", "size": 14}
        self.fields["about"].widget.attrs |= {"placeholder": "id, as asst_…", "size": 18}
        self.fields["what"].widget.attrs["class"] = "sv-select sv-short"

    def chosen(self, events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """Of ``events`` those that it asks for."""
        if not self.is_valid():
            return events.none()
        asked = self.cleaned_data
        if asked["who"]:
            events = events.filter(_by(asked["who"]))
        if what := asked["what"]:
            events = events.filter(action__startswith=what) if what.endswith(".") else events.filter(action=what)
        if asked["about"]:
            events = events.filter(object_id=asked["about"])
        if asked["first"]:
            events = events.filter(created_at__gte=_midnight(asked["first"]))
        if asked["last"]:
            events = events.filter(created_at__lt=_midnight(asked["last"]) + timedelta(days=1))
        return events


def _by(who: str) -> Q:
    """A person by user name, a key by its name, id or the visible part of its secret, or the product itself."""
    if who.lower() == PRODUCT:
        return Q(user_id=None, key_id=None)
    people = User.objects.filter(username__iexact=who).values("pk")
    keys = ApiKey.objects.filter(Q(name__iexact=who) | Q(pk=who) | Q(lookup=who)).values("pk")
    return Q(user_id__in=people) | Q(key_id__in=keys) | Q(key_id=who)


def _midnight(day: date) -> datetime:
    """Its beginning, for who reads the page."""
    return timezone.make_aware(datetime.combine(day, time.min))


class AuditChangeList(ChangeList):
    """Reads the form above the list, and the names of what the events on the page are about."""

    result_list: Any

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in FILTERS}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        found = super().get_queryset(request, exclude_parameters)
        asked = {name: request.GET[name] for name in FILTERS if request.GET.get(name)}
        return AuditFilter(asked).chosen(found) if asked else found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        named(request, self.result_list)


@admin.register(AuditEvent)
class AuditEventAdmin(ProjectAdmin):
    view_scope = AUDIT_READ
    empty_words = "What people and keys change stands here, with when, and from where they asked."
    list_display = ("at", "who", "what", "about", "project")
    list_display_links = ("at",)
    list_filter = ("project",)
    list_select_related = ("project",)
    list_before_template = "admin/accounts/audit.html"
    fields = ("at", "who", "what", "about", "project", "details_shown", "action", "request_id")
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[AuditChangeList]:
        return AuditChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        username = User.objects.filter(pk=OuterRef("user_id")).values("username")[:1]
        key = ApiKey.objects.filter(pk=OuterRef("key_id")).values("name")[:1]
        return super().get_queryset(request).annotate(username=Subquery(username), key_name=Subquery(key))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            named(request, [event])
        return event

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        asked = {name: request.GET[name] for name in FILTERS if name in request.GET}
        context = {"asked": AuditFilter(asked if any(asked.values()) else None), "people": _people(request)}
        return super().changelist_view(request, {**(extra_context or {}), **context})

    @admin.display(description="when", ordering="created_at")
    def at(self, event: AuditEvent) -> str:
        return times.shown(event.created_at, seconds=True)

    @admin.display(description="who")
    def who(self, event: Any) -> str:
        return _actor(event)

    @admin.display(description="what")
    def what(self, event: Any) -> str:
        name = event.object_name or str(event.details.get("name") or event.object_id)
        return sentences.sentence(event.action, event.object_type, name, event.said)

    @admin.display(description="about")
    def about(self, event: Any) -> SafeString:
        """Its page where there still is one, and everything else that was done to it."""
        everything = f"{reverse('admin:accounts_auditevent_changelist')}?about={quote(event.object_id)}"
        kind = sentences.KINDS.get(event.object_type, event.object_type)
        all_of_it = format_html('<a class="sv-link" href="{}">all about it</a>', everything)
        if not event.object_page:
            return format_html("{} {}", kind, all_of_it)
        return format_html('<a class="sv-link" href="{}">{}</a> {}', event.object_page, kind, all_of_it)

    @admin.display(description="details")
    def details_shown(self, event: Any) -> SafeString | str:
        rows = list(_flat(event.details))
        if not rows:
            return "–"
        return format_html('<dl class="sv-details">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))


def named(request: HttpRequest, events: Sequence[Any]) -> None:
    """Give the events what their objects are called and where their pages are, as far as this person sees them.

    ``said`` are their details, with names in the place of the ids that sentences tell.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for event in events:
        wanted[event.object_type].add(event.object_id)
        for name, kind in TOLD.items():
            if isinstance(event.details.get(name), str):
                wanted[kind].add(event.details[name])
    rows = {kind: _rows(request, kind, ids) for kind, ids in _most(wanted)}
    members = _members(events)
    for event in events:
        row = rows.get(event.object_type, {}).get(event.object_id)
        event.object_name, event.object_page = (str(row), page_of(row)) if row is not None else ("", "")
        event.said = {**event.details}
        for name, kind in TOLD.items():
            if (meant := rows.get(kind, {}).get(str(event.details.get(name)))) is not None:
                event.said[name] = str(meant)
        if type(user := event.details.get("user")) is int:
            event.said["user"] = members.get(user, user)


def _most(wanted: dict[str, set[str]]) -> list[tuple[str, set[str]]]:
    """The kinds with the most ids: each is a query."""
    return sorted(wanted.items(), key=lambda item: -len(item[1]))[:KINDS_NAMED]


def _rows(request: HttpRequest, kind: str, ids: Iterable[str]) -> dict[str, Any]:
    """Those rows of a kind that its own page shows this person, by their ids."""
    pages: dict[str, Any] = {audit.kind_of(model): page for model, page in admin.site._registry.items()}  # type: ignore[arg-type]
    page = pages.get(kind)
    if page is None or not page.has_view_permission(request):
        return {}
    found = page.get_queryset(request).filter(pk__in={_key(page, each) for each in ids} - {None})
    return {str(row.pk): row for row in found}


def _members(events: Iterable[Any]) -> dict[Any, str]:
    """The names of the people whom the events tell of."""
    ids = {event.details["user"] for event in events if type(event.details.get("user")) is int}
    return dict(User.objects.filter(pk__in=ids).values_list("pk", "username")) if ids else {}


def _key(page: Any, object_id: str) -> Any:
    """The id as the rows have it; ``None`` where no row can have it."""
    try:
        return page.model._meta.pk.to_python(object_id)
    except forms.ValidationError:
        return None


def _actor(event: Any) -> str:
    if event.username:
        return str(event.username)
    if event.key_id:
        return f"key {event.key_name or event.key_id}"
    return f"user {event.user_id}" if event.user_id else PRODUCT


def _people(request: HttpRequest) -> list[str]:
    """User names to choose from: those of the projects whose log the person reads."""
    projects = projects_allowing(request, AUDIT_READ)
    people = User.objects.all() if projects is None else User.objects.filter(memberships__project__in=projects)
    return [*people.order_by("username").distinct().values_list("username", flat=True)[:PEOPLE_OFFERED], PRODUCT]


def _flat(details: Any, above: str = "") -> Iterable[tuple[str, str]]:
    """Every detail with its way: ``("before, requests per minute", "100")``."""
    if not isinstance(details, dict):
        yield above, _whole(details)
        return
    for name, value in details.items():
        words = str(name).replace("_", " ")
        yield from _flat(value, f"{above}, {words}" if above else capfirst(words))


def _whole(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_whole, value)) or "nothing"
    return sentences.in_words(value) if value is None or value == "" or isinstance(value, bool) else str(value)
