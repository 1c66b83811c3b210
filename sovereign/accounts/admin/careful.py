"""Rows that are changed with a form: nobody's change is overwritten unknowingly, and nothing that was typed is lost.

The page of a row keeps a digest of every field as it was read. Who saves after somebody else is shown what the other
one changed, at the fields; what they did not touch themselves is taken over, and saving once more is meant. What a
service refuses is said at its field, on the same page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from sovereign.accounts import audit
from sovereign.accounts.admin.base import ServiceAdmin
from sovereign.accounts.models import ApiKey, AuditEvent, User
from sovereign.core import times
from sovereign.core.comparing import Effort, opcodes, unified
from sovereign.core.errors import ApiError
from sovereign.core.visible import visible

SEEN = "_seen"  # what the page says it was made of
DIGITS = 16  # of a digest: nobody gains by two values that are taken for one
SHORT = 120  # characters of a value that is told at its field
LINES = 400  # of one difference that are shown
MOST_STEPS = 300_000  # that go into comparing one form
KINDS = {"-": "removed", "+": "added", "@": "place", " ": "same"}
SPOKEN = {"removed": "Theirs: ", "added": "Yours: ", "place": "", "same": ""}
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that somebody else has changed since the page was made.

    :ivar yours: ``None`` where the person did not touch it.
    :ivar lines: of values with several lines: (kind, spoken, text), theirs without a sign being in both.
    """

    name: str
    title: str
    theirs: str
    yours: str | None
    lines: list[tuple[str, str, str]] = field(default_factory=list)


class Compared(forms.BaseForm):
    """A form that knows what it was made of.

    :ivar refusal: of a service, when the form was sent before; it stands at its field.
    :ivar differences: what somebody else changed, where that keeps the form from being saved.
    """

    refusal: ApiError | None = None
    differences: list[Difference] = []
    changed_by = ""  # and when

    def changed_row(self) -> Model | None:
        """The row that it changes; ``None`` where it makes one. Its values are the form's initial ones."""
        raise NotImplementedError

    @property
    def seen(self) -> str:
        """For the page: what stands in the row now."""
        if self.changed_row() is None:
            return ""
        return json.dumps({name: _digest(self[name].field, self._now(name)) for name in self.fields})

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound:
            return
        if self.refusal is not None:
            name = self.refused_field(self.refusal.param or "")
            self.add_error(name if name in self.fields else None, self.refusal.message)
        if (row := self.changed_row()) is not None:
            self._compare(row)

    def refused_field(self, param: str) -> str:
        """Where the service's words about a parameter are said: ``variables[2].name`` is one of ``variables``."""
        return param.partition("[")[0].partition(".")[0]

    # ------------------------------------------------------------------------------------- comparing

    def _compare(self, row: Model) -> None:
        seen, effort = _read(self.data.get(SEEN)), Effort(MOST_STEPS)
        self.differences = [one for name in self.fields for one in self._difference(name, seen, effort)]
        if not self.differences:
            return
        self.changed_by = _last_change(row)
        for one in self.differences:
            self.add_error(one.name, self._told(one))

    def _difference(self, name: str, seen: dict[str, Any], effort: Effort) -> Iterator[Difference]:
        bound = self[name]
        if bound.field.disabled or (read := self._read(name, seen)) is None:
            return
        now = self._now(name)
        if read == _digest(bound.field, now):
            return
        mine = self._typed(name)
        is_touched = _digest(bound.field, mine) != read
        if not is_touched and bound.field.show_hidden_initial:
            return  # who did not touch it does not save it
        if not is_touched:
            self._take_over(name)
        if bound.is_hidden or (is_touched and _digest(bound.field, mine) == _digest(bound.field, now)):
            return  # nothing that anybody sees, or both wrote the same
        theirs, yours = _words(bound.field, now), _words(bound.field, mine) if is_touched else None
        lines = [] if yours is None or _is_short(theirs + yours) else _lines(theirs, yours, effort)
        yield Difference(name, str(bound.label), theirs, yours, lines)

    def _now(self, name: str) -> Any:
        return self.get_initial_for_field(self.fields[name], name)

    def _read(self, name: str, seen: dict[str, Any]) -> str | None:
        """The digest of what the page showed; ``None`` where it does not say."""
        bound = self[name]
        if bound.field.show_hidden_initial and bound.html_initial_name in self.data:
            shown = bound.field.hidden_widget().value_from_datadict(self.data, self.files, bound.html_initial_name)
            return _digest(bound.field, _python(bound.field, shown))
        found = seen.get(name)
        return found if isinstance(found, str) else None

    def _typed(self, name: str) -> Any:
        return _python(self.fields[name], self[name].data)

    def _take_over(self, name: str) -> None:
        """Theirs stands in the form from now on, and nothing is wrong with it."""
        taker: Any = self.fields[name]
        taker.bound_data = lambda data, initial: initial
        self.errors.pop(name, None)

    def _told(self, one: Difference) -> str:
        if one.yours is None:
            return f"{self.changed_by} changed this meanwhile. It stands here as it is now."
        theirs = f": {one.theirs}" if _is_short(one.theirs) else ""
        way = "Yours stands here; saving again puts it in its place."
        return f"{self.changed_by} changed this meanwhile{theirs}. {way}"


class CarefulForm(Compared, forms.ModelForm):
    """The form of such a row."""

    def changed_row(self) -> Model | None:
        return None if self.instance._state.adding else self.instance


class CarefulChanges(ServiceAdmin):
    """The pages of rows whose form is a :class:`CarefulForm`."""

    change_form_before_template = "admin/accounts/careful.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.refusal = getattr(request, "_refusal", None)
        return form

    def _changeform_view(
        self, request: HttpRequest, object_id: str | None, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        """Between the comparison and what is saved nobody else saves: the row is locked before it is read."""
        if request.method == "POST" and object_id is not None:
            row = self.get_object(request, unquote(object_id))
            if row is not None and self.has_change_permission(request, row):
                list(type(row)._base_manager.select_for_update(no_key=True).filter(pk=row.pk).values_list("pk"))
        response: HttpResponse = super()._changeform_view(request, object_id, form_url, extra_context)
        return response

    def _told(self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """What a service refuses is told on the form, with all that was typed; elsewhere by a message."""

        def shown(*inner: Any, **named: Any) -> Any:
            try:
                return view(*inner, **named)
            except ApiError as error:
                if request.method != "POST" or not _has_form(request):
                    raise
                request._refusal = error  # type: ignore[attr-defined]
                return view(*inner, **named)

        return super()._told(request, shown, *args, **kwargs)


def _has_form(request: HttpRequest) -> bool:
    name = request.resolver_match.url_name if request.resolver_match is not None else None
    return str(name).endswith(("_add", "_change"))


def _read(text: Any) -> dict[str, Any]:
    """What a page says it has shown. It comes from a browser: what cannot be read says nothing."""
    try:
        found = json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _python(field: forms.Field, data: Any) -> Any:
    """What was typed, as the field has it; as it is where the field cannot read it."""
    try:
        return field.to_python(data)
    except forms.ValidationError:
        return data


def _digest(field: forms.Field, value: Any) -> str:
    plain = json.dumps(_plain(field, value), sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def _plain(field: forms.Field, value: Any) -> Any:
    """The same for what the row has and for what a browser sends of it."""
    if value is None or value is False or value == "":
        return ""
    if isinstance(value, Model):
        return str(value.pk)
    if isinstance(field, forms.MultipleChoiceField | forms.ModelMultipleChoiceField):
        return sorted(str(getattr(one, "pk", one)) for one in value)
    if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
        return str(value)
    if isinstance(value, str):
        return value.replace("\r\n", "\n").strip()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    return value


def _words(field: forms.Field, value: Any) -> str:
    """A value as people read it."""
    labels = dict(_labels(getattr(field, "choices", ())))
    if labels:
        chosen = value if isinstance(value, list | tuple) else [value]
        return ", ".join(labels.get(str(getattr(one, "pk", one)), str(one)) for one in chosen) or NOTHING
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return visible(json.dumps(value, indent=2, ensure_ascii=False))
    return visible(str(value).replace("\r\n", "\n"))


def _labels(choices: Any) -> Iterator[tuple[str, str]]:
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from _labels(label)
        else:
            yield str(value or ""), str(label)


def _is_short(text: str) -> bool:
    return len(text) <= SHORT and "\n" not in text


def _lines(theirs: str, yours: str, effort: Effort) -> list[tuple[str, str, str]]:
    old, new = theirs.splitlines(), yours.splitlines()
    found = list(unified(old, new, opcodes(old, new, effort)))[:LINES]
    if not found:
        return []  # they differ in how their lines end
    kinds = [(KINDS[line[:1]], line[1:]) for line in found]
    return [(kind, SPOKEN[kind], "…" if kind == "place" else text) for kind, text in kinds][kinds[0][0] == "place" :]


def _last_change(row: Model) -> str:
    """Who changed a row last, and when, for a sentence."""
    events = AuditEvent.objects.filter(object_type=audit.kind_of(row), object_id=str(row.pk))
    event = events.exclude(action__endswith="_refused").order_by("-created_at", "-id").first()
    if event is None:
        return "Somebody"
    user = User.objects.filter(pk=event.user_id).first() if event.user_id is not None else None
    key = ApiKey.objects.filter(pk=event.key_id).first() if event.key_id is not None else None
    who = str(user) if user is not None else f"The key {key.name}" if key is not None else "Somebody"
    return f"{who} ({times.told(event.created_at)})"
