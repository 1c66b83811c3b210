from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class PromptQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> PromptQuerySet:
        return self.filter(project_id=principal.project_id)

    def with_newest_number(self) -> PromptQuerySet:
        """Each with ``newest_number``, its newest version's."""
        versions = self.model._meta.get_field("versions").related_model.objects.filter(prompt=OuterRef("pk"))
        return self.annotate(newest_number=Subquery(versions.order_by("-number").values("number")[:1]))

    def tagged(self, tag: str) -> PromptQuerySet:
        """Those that have a tag, in capitals or not."""
        return self._with_tags().filter(_as_member(tag))

    def in_language(self, language: str) -> PromptQuerySet:
        """Those in a language or a kind of it: ``de`` means ``de-AT``, too."""
        return self.filter(Q(language__iexact=language) | Q(language__istartswith=f"{language}-"))

    def matching(self, query: str) -> PromptQuerySet:
        """Those whose name, description or tags have every word of a query."""
        found = self._with_tags()
        for word in query.split():
            inside = json.dumps(word)[1:-1]
            found = found.filter(
                Q(name__icontains=word)
                | Q(description__icontains=word)
                | Q(tags_text__icontains=word)
                | Q(tags_text__icontains=inside)
            )
        return found

    def _with_tags(self) -> PromptQuerySet:
        return self.annotate(tags_text=Cast("tags", TextField()))


class PromptVersionQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> PromptVersionQuerySet:
        return self.filter(prompt__project_id=principal.project_id)


def _as_member(text: str) -> Q:
    """SQLite keeps characters beyond ASCII escaped, Postgres as they are."""
    return Q(tags_text__icontains=json.dumps(text)) | Q(tags_text__icontains=json.dumps(text, ensure_ascii=False))
