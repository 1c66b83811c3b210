"""Where the passages come from: the packages of ``packages.txt`` in given folders, Python's library, our own pages."""

from __future__ import annotations

import json
import re
import sysconfig
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from .passages import Passage, module_passages, page_passages, service_passages

PINS = Path(__file__).with_name("packages.txt")
ROOT = Path(__file__).resolve().parents[3]
HELD_OUT = 3  # percent of the groups are never learned from


@cache
def pins() -> dict[str, str]:
    """Package → version."""
    lines = (line.split("#")[0].strip() for line in PINS.read_text().splitlines())
    return dict(line.split("==", 1) for line in lines if line)


def held_out(group: str) -> bool:
    """True for groups whose passages serve the evaluation only."""
    return zlib.crc32(group.encode()) % 100 < HELD_OUT


def installed(folders: Iterable[Path]) -> Iterator[tuple[str, str, Distribution]]:
    """Name, version and distribution of every package of the pins, from the first folder that has it."""
    seen = set()
    for folder in folders:
        for found in sorted(distributions(path=[str(folder)]), key=lambda found: found.name.lower()):
            name = re.sub(r"[-_.]+", "-", found.name).lower()
            if name in pins() and name not in seen:
                seen.add(name)
                yield name, found.version, found


def package_passages(name: str, found: Distribution) -> Iterator[Passage]:
    """The prose of one installed package."""
    tops = {path.parts[0] for path in found.files or () if path.suffix == ".py" and len(path.parts) > 1}
    for top in sorted(top for top in tops if top.isidentifier() and not top.startswith("_")):
        folder = Path(str(found.locate_file(top)))
        yield from module_passages(name, folder)
        yield from page_passages(name, folder)
        if name == "botocore":
            yield from service_passages(name, folder)


def library_passages() -> Iterator[Passage]:
    """The docstrings of Python's own library, of the interpreter that runs this."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.iterdir()):
        if path.suffix == ".py" or (path / "__init__.py").exists():
            yield from module_passages("python", path)


def own_passages() -> Iterator[Passage]:
    """This repository's pages, and the docstrings of its code."""
    for room in ("sovereign", "assistants", "threads", "runs", "inference"):
        yield from module_passages("sovereign", ROOT / room)
    yield from page_passages("sovereign", ROOT / "docs")


def every_passage(folders: list[Path], read: dict[str, str]) -> Iterator[Passage]:
    """All passages in a fixed order, each text once; ``read`` gets package → version of what was there."""
    texts: set[int] = set()
    for passage in _all(folders, read):
        key = hash(" ".join(passage.sentences).lower())
        if key not in texts:
            texts.add(key)
            yield passage


def _all(folders: list[Path], read: dict[str, str]) -> Iterator[Passage]:
    for name, version, found in installed(folders):
        read[name] = version
        yield from package_passages(name, found)
    read["python"] = sysconfig.get_python_version()
    yield from library_passages()
    yield from own_passages()


def write(path: Path, folders: list[Path]) -> dict[str, str]:
    """Keep the passages as lines of JSON ``[package, group, title, sentences]``; returns what was read."""
    read: dict[str, str] = {}
    with path.open("w") as file:
        for row in every_passage(folders, read):
            file.write(json.dumps([row.package, row.group, row.title, row.sentences]) + "\n")
    return read
