"""Runs code as a notebook does: variables stay, the value of the last expression is shown, and so are figures."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import linecache
import os
import signal
import sys
import traceback
import types
from typing import Any, NoReturn

from .figures import Figures
from .wire import Wire

MESSAGE = 500  # characters


class Stop(BaseException):
    """The code took too much; what it is says of what."""


class TimeIsOver(Stop):
    pass


class TooMuchOutput(Stop):
    pass


class Terminal(io.RawIOBase):
    """What is printed goes where the server reads it, up to a number of bytes for each piece of code."""

    def __init__(self, most: int) -> None:
        self._most, self._left = most, most
        self._target = os.dup(2)

    def begin(self) -> None:
        self._left = self._most

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """It stays, whatever becomes of the streams on it."""

    def write(self, content: Any) -> int:
        view = memoryview(content)[: max(self._left, 0)]
        self._left -= len(content)
        while view:
            view = view[os.write(self._target, view) :]
        if self._left < 0:
            raise TooMuchOutput
        return len(content)


class Notebook:
    """:param output: bytes that one piece of code may print; ``image``: bytes of a figure."""

    def __init__(self, wire: Wire, *, output: int, image: int) -> None:
        self._terminal = Terminal(output)
        self._figures = Figures(wire, self._terminal, image)
        self._module = types.ModuleType("__main__")
        self._cells, self._process = 0, os.getpid()
        self._streams: dict[str, io.TextIOWrapper] = {}
        sys.modules["__main__"] = self._module
        self._module.__dict__["__builtins__"] = builtins
        builtins.input = _no_input
        builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]

    def run(self, code: str, seconds: float) -> dict[str, Any]:
        """How it ended: ``{"ended": kind, "message": text}``."""
        self._terminal.begin()
        self._attach()
        self._cells += 1
        signal.signal(signal.SIGALRM, _time_is_over)
        try:
            return self._timed(code, seconds)
        except TimeIsOver:
            return {"ended": "timeout", "message": ""}
        finally:
            if os.getpid() != self._process:
                os._exit(0)  # the code has forked, and this is its child

    def _timed(self, code: str, seconds: float) -> dict[str, Any]:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            self._execute(code, f"<cell {self._cells}>")
            self._figures.show()
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return self._failed(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return {"ended": "ok", "message": ""}

    def _attach(self) -> None:
        """Code may have closed or replaced the streams."""
        sys.stdin = io.StringIO()
        for name in ("stdout", "stderr"):
            try:
                self._streams[name].flush()
            except (KeyError, ValueError):
                buffer = io.BufferedWriter(self._terminal)
                self._streams[name] = io.TextIOWrapper(buffer, "utf-8", errors="replace", line_buffering=True)
            setattr(sys, name, self._streams[name])

    def _let_go(self) -> None:
        """End what the code has started, and forget what it has still to print."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # everybody in the sandbox but the first process and this one
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
        self._streams.clear()
        sys.stdout = sys.stderr = io.StringIO()

    def _execute(self, code: str, name: str) -> None:
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), self._module.__dict__)  # noqa: S102 (that is what all this is for)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), self._module.__dict__)  # noqa: S307
            if value is not None:
                print(repr(value))  # noqa: T201

    def _failed(self, error: BaseException) -> dict[str, Any]:
        """Print the traceback, without our own frames."""
        if isinstance(error, Stop):
            self._let_go()
        self._terminal.begin()
        self._attach()
        if isinstance(error, TimeIsOver):
            return {"ended": "timeout", "message": ""}
        if isinstance(error, TooMuchOutput):
            return {"ended": "output", "message": ""}
        if isinstance(error, SystemExit) and not error.code:
            return {"ended": "ok", "message": ""}
        try:
            last = traceback.format_exception_only(error)[-1].strip()
            lines = traceback.format_exception(error.with_traceback(_of_the_code(error.__traceback__)))
            sys.stderr.write("".join(lines))
            sys.stderr.flush()
        except BaseException:  # its own words may fail in any way
            last = type(error).__name__
        kind = "memory" if isinstance(error, MemoryError) else "error"
        return {"ended": kind, "message": last[:MESSAGE]}


def _of_the_code(place: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the first line of the code on; nothing where no line of it was reached."""
    while place is not None and not place.tb_frame.f_code.co_filename.startswith("<cell "):
        place = place.tb_next
    return place


def _no_input(prompt: object = "", /) -> NoReturn:
    raise RuntimeError("input() is not available: nobody can answer while the code runs.")


def _time_is_over(*_: object) -> NoReturn:
    raise TimeIsOver
