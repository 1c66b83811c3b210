"""Matplotlib's figures, as pictures for the server. A backend of matplotlib's too (``module://inside.figures``)."""

from __future__ import annotations

import io
import sys
from typing import Any, Protocol

from .wire import MARK, PICTURE, Wire

_shown: list[Figures] = []


class Terminal(Protocol):
    def write(self, content: bytes, /) -> int: ...


class Figures:
    """:param most: bytes of a picture."""

    def __init__(self, wire: Wire, terminal: Terminal, most: int) -> None:
        self._wire, self._terminal, self._most = wire, terminal, most
        _shown[:] = [self]

    def show(self) -> None:
        """Send what is open, and close it."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            content = io.BytesIO()
            figure = pyplot.figure(number)
            if figure.axes or figure.texts or figure.images:
                figure.savefig(content, format="png", bbox_inches="tight")
                self._send(content.getvalue())
            pyplot.close(number)

    def _send(self, picture: bytes) -> None:
        if len(picture) > self._most:
            print(f"(a figure of {len(picture):,} bytes is not shown: {self._most:,} are the most)")  # noqa: T201
            return
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal.write(MARK)
        self._wire.send_frame(PICTURE, picture)


def __getattr__(name: str) -> Any:
    """The backend, when matplotlib asks for it."""
    if name not in ("FigureCanvas", "FigureManager"):
        raise AttributeError(name)
    from matplotlib.backend_bases import FigureManagerBase
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    class Manager(FigureManagerBase):
        @classmethod
        def pyplot_show(cls, *, block: bool | None = None) -> None:
            _shown[0].show()

    class Canvas(FigureCanvasAgg):
        manager_class = Manager

    globals().update(FigureCanvas=Canvas, FigureManager=Manager)
    return globals()[name]
