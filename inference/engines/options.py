"""The operator's own options for vLLM, read as vLLM reads them, so that our defaults step back where one is given.

vLLM takes ``--a-b VALUE``, ``--a_b=VALUE``, ``--a-b.key VALUE`` (part of a JSON value), ``--no-a-b``, unambiguous
beginnings (``--tensor-par 2``) and short forms (``-tp 2``, ``-O3``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from inference.engines.installation import EngineCannotRun
from inference.engines.versions import ALIASES

TRUST = "--trust-remote-code"
SHORTEST = 5  # characters of a beginning that is taken for the whole: "--tok" and longer
#: options that cannot be the operator's → why
OURS = {
    TRUST: "it runs code that comes with a model",
    "--api-key": "the key is made here, and registered with the engine",
    "--model": "name the model with vllm_worker's own --model",
    "--host": "vllm_worker's own --advertise says where the engine listens",
    "--uds": "the engine is reached over TCP",
    "--grpc": "the engine is reached over HTTP",
    "--headless": "it starts no server to ask; run it with vLLM's own command on the other host",
    "--enable-sleep-mode": "give vllm_worker's own --sleep-after",
}
VALUE = re.compile(r"[^-]|-[\d.]|-$")  # how an argument begins that is no option
TRUSTING = re.compile(r"trust[-_]remote[-_]code", re.I)


class Options:
    """What was given after ``--``, by the full names of vLLM's options."""

    def __init__(self, given: Sequence[str]) -> None:
        self.given = tuple(given)
        self._values: dict[str, list[str]] = {}
        name = ""
        for argument in given:
            if argument.startswith("-") and not VALUE.match(argument):
                name, separator, value = argument.partition("=")
                name, attached = _full_name(name)
                values = self._values.setdefault(name, [])
                values += [piece for piece in (attached, value if separator else "") if piece]
            elif name:
                self._values[name].append(argument)

    def has(self, name: str) -> bool:
        """Whether the operator gave this option, or its opposite, in any spelling."""
        return self._find(name) is not None

    def value(self, name: str) -> str | None:
        """The last value of an option; ``None`` where it was not given or has none."""
        values = self.values(name)
        return values[-1] if values else None

    def values(self, name: str) -> list[str]:
        found = self._find(name)
        return self._values[found] if found is not None else []

    def number(self, name: str, default: int) -> int:
        value = self.value(name)
        return int(value) if value is not None and value.isdigit() else default

    def _find(self, name: str) -> str | None:
        exact = next((given for given in self._values if given == name), None)
        return exact or next(
            (given for given in self._values if len(given) >= SHORTEST and name.startswith(given)), None
        )

    def check(self) -> None:
        """
        :raises EngineCannotRun: an option that is not the operator's to give, with the reason.
        """
        for given in self._values:
            for name, why in OURS.items():
                shortest = len("--tr") if name == TRUST else SHORTEST
                beginning = len(given) >= shortest and name.startswith(given)
                if given == name or beginning:
                    raise EngineCannotRun(f"{given} is refused: {why}.")
        for file in self.values("--config"):
            if TRUSTING.search(_read(Path(file).expanduser())):
                raise EngineCannotRun(f"{TRUST} in {file} is refused: {OURS[TRUST]}.")

    def adapters(self) -> dict[str, str]:
        """The LoRA adapters to be served: name → folder or repository.

        :raises EngineCannotRun: one that is not written as vLLM wants it.
        """
        found: dict[str, str] = {}
        for value in self.values("--lora-modules"):
            name, separator, source = value.partition("=")
            if value.lstrip().startswith(("{", "[")):
                found |= _from_json(value)
            elif separator and name and source:
                found[name] = source
            else:
                raise EngineCannotRun(f"--lora-modules takes name=folder, and {value[:80]!r} is none.")
        return found


def _full_name(name: str) -> tuple[str, str]:
    """The option that is meant, and the value that a short form has attached to it."""
    if name.startswith("--"):
        name = name.split(".", 1)[0].replace("_", "-").lower()
        name = f"--{name.removeprefix('--no-')}" if name.startswith("--no-") else name
        return ALIASES.get(name, name), ""
    if name.startswith("-O"):
        return ALIASES["-O"], name[2:] if not name.startswith("-O.") else ""
    name = name.split(".", 1)[0]
    return ALIASES.get(name, name), ""


def _from_json(value: str) -> dict[str, str]:
    try:
        content = json.loads(value)
        entries = content if isinstance(content, list) else [content]
        return {str(entry["name"]): str(entry["path"]) for entry in entries}
    except (ValueError, TypeError, KeyError):
        raise EngineCannotRun(f"--lora-modules takes name=folder or JSON, and {value[:80]!r} is neither.") from None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
