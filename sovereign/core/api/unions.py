"""Values that have one of several shapes, as the OpenAPI document names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework import serializers


@dataclass(frozen=True, slots=True)
class Union:
    """One of several shapes.

    :param name: the component's name in the document.
    :param shapes: serializer classes, further unions, or schemas of plain values (``{"type": "string", …}``).
    :param tag: the property whose value tells which shape it is.
    """

    name: str
    shapes: tuple[Any, ...]
    tag: str = "type"


class OneOf(serializers.Field):
    """A value of an answer that has one of a union's shapes. For the document only: answers are rendered elsewhere."""

    def __init__(self, union: Union, **options: Any) -> None:
        self.union = union
        super().__init__(**options)
