"""What assistants may be started from: the files of ``template_data``, one a template.

A file has the fields of an assistant without its model, ``about`` for who chooses, and the instructions line by line.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).with_name("template_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    :ivar id: the file's name.
    :ivar about: one sentence for who chooses.
    :ivar fields: of the assistant, in the normal forms of services; without a model.
    """

    id: str
    name: str
    about: str
    type: str
    fields: dict[str, Any] = field(default_factory=dict)


@functools.cache
def templates() -> dict[str, Template]:
    """All of them by their ids, in the order of their names."""
    read = [_read(path) for path in FOLDER.glob("*.json")]
    return {template.id: template for template in sorted(read, key=lambda template: template.name)}


def _read(path: Path) -> Template:
    data: dict[str, Any] = orjson.loads(path.read_bytes())
    about, lines = data.pop("about"), data.pop("instructions")
    fields = {**data, "instructions": "\n".join(lines)}
    return Template(id=path.stem, name=data["name"], about=about, type=data["type"], fields=fields)
