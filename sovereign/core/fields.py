"""Model fields that every room uses."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.deconstruct import deconstructible
from psycopg.types.json import Json, Jsonb

from sovereign.core.ids import instant_of, new_id


@deconstructible
class IdDefault:
    """A default that makes a new identifier with ``prefix`` (deconstructible, so migrations can name it)."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def __call__(self) -> str:
        return new_id(self.prefix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdDefault) and other.prefix == self.prefix

    def __hash__(self) -> int:
        return hash(self.prefix)


def id_field(prefix: str) -> models.CharField:
    """A string primary key, 64 wide, whose default is a new identifier."""
    return models.CharField(primary_key=True, max_length=64, default=IdDefault(prefix), editable=False)


def reference(**options: object) -> models.CharField:
    """A plain id column: a reference to a row that may be deleted while this one stays."""
    return models.CharField(max_length=64, null=True, blank=True, default=None, **options)  # type: ignore[arg-type]


class CreatedAtField(models.DateTimeField):
    """When the row was made: the instant inside its own id, so that a deleted row's id still tells its place."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def pre_save(self, instance: models.Model, add: bool) -> Any:
        value = super().pre_save(instance, add)
        if value is None:
            value = instant_of(str(instance.pk)) or timezone.now()
            setattr(instance, self.attname, value)
        return value


class OrderedJSONField(models.JSONField):
    """JSON whose objects keep the order of their keys.

    A model fills a schema's properties in the order they stand in: one that is to reason before it answers must not
    be made to answer first. And what is read is written as it was when it was made. PostgreSQL's ``jsonb`` sorts keys,
    its ``json`` does not; the price is that the column cannot be searched by what is inside.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        prepared_value = super().get_db_prep_value(value, connection, prepared)
        return Json(prepared_value.obj) if isinstance(prepared_value, Jsonb) else prepared_value

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        if connection.vendor == "postgresql":  # psycopg has read it
            return value
        return super().from_db_value(value, expression, connection)


@models.JSONField.register_lookup
class HasItem(models.Lookup):
    """``tags__has_item="x"``: whether a list of texts has this one. Of columns that are ``jsonb`` only."""

    lookup_name = "has_item"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        return "%s", (str(value),)

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, of_column = self.process_lhs(compiler, connection)
        item, of_item = self.process_rhs(compiler, connection)
        return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = {item})", (*of_column, *of_item)  # noqa: S608

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, of_column = self.process_lhs(compiler, connection)
        item, of_item = self.process_rhs(compiler, connection)
        return f"jsonb_exists({column}, {item})", (*of_column, *of_item)


@models.CharField.register_lookup
class AnyOf(models.Lookup):
    """``id__any_of=[…]``: as ``in``, with one parameter for all: thousands cost more to put together than to find.

    Postgres, which is not told how many there are, looks each of them up instead of reading the whole table.
    """

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, of_column = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", (*of_column, json.dumps(list(self.rhs)))  # noqa: S608

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, of_column = self.process_lhs(compiler, connection)
        values = "SELECT json_array_elements_text(%s::json)"
        return f"{column} = ANY(ARRAY({values}))", (*of_column, json.dumps(list(self.rhs)))
