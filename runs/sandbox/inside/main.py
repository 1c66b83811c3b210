"""Waits for what the server wants, one thing after the other: run code, put a file, read one, list them."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sys
from typing import Any

from . import files
from .notebook import Notebook
from .wire import Wire

FIGURES = "/opt/interpreter/share/matplotlib"  # the list of fonts, which takes seconds to make
NICENESS = 10  # everything else on the machine comes first


def main() -> None:
    settings: dict[str, Any] = json.loads(sys.argv[1])
    sys.argv = [""]
    lower_limits(settings["limits"])
    wire = Wire(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.path.append(settings["packages"])
    with contextlib.suppress(OSError):
        shutil.copytree(FIGURES, os.environ["MPLCONFIGDIR"])
    os.chdir(files.ROOT)
    notebook = Notebook(wire, output=settings["output"], image=settings["image"])
    os.nice(NICENESS)
    wire.send({"ready": True})
    with contextlib.suppress(EOFError):
        while True:
            carry_out(wire.receive(), wire, notebook)


def carry_out(wanted: dict[str, Any], wire: Wire, notebook: Notebook) -> None:
    """Answer one request; a file that cannot be is answered with the reason."""
    if wanted["do"] == "run":
        wire.send(notebook.run(wanted["code"], wanted["seconds"]))
        return
    try:
        if wanted["do"] == "put":
            wire.send({"path": files.write(wanted["name"], wire.receive_data(wanted["size"]))})
        elif wanted["do"] == "read":
            files.send(wire, wanted["path"], wanted["maximum"])
        else:
            wire.send({"files": files.listed()})
    except files.Refused as refusal:
        wire.send({"refused": str(refusal)})
    except OSError as error:
        wire.send({"refused": os.strerror(error.errno) if error.errno else "It failed."})


def lower_limits(limits: dict[str, int]) -> None:
    """:param limits: by the last part of their names, such as ``AS``."""
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
