"""Real processes for tests: upstreams, API servers and workers around one database, started and ended for certain.

Whatever a test does to them, their process groups are killed at the end. Waiting is always polling on a condition with
a bound; what a process wrote is kept in a file, and is shown with a test that fails.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tests.support.client import PATIENCE, Client, Refused
from tests.support.database import Database

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 90.0  # seconds; two cores shared with everything else that runs on them
STOP_TIMEOUT = 90.0  # seconds
POLL = 0.02  # seconds
#: every setting is given to the processes, so that neither the shell's nor a ``.env`` file's reach them
CLEAN = dict.fromkeys(
    [
        "SOVEREIGN_SECRET_KEY",
        "SOVEREIGN_PUBLIC_URL",
        "SOVEREIGN_API_KEY",
        "SOVEREIGN_ENGINE_API_KEY",
        "SOVEREIGN_ENGINE_PYTHON",
        "MODEL_NAME",
        "OLLAMA_HOST",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
    ],
    "",
)


class Died(AssertionError):
    """A process that should have gone on ended."""


def eventually(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
    """Poll until ``condition()`` is true, and give what it returned.

    :raises AssertionError: it did not become true within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what or condition}")
        time.sleep(POLL)


@contextlib.contextmanager
def held_back(*numbers: int) -> Iterator[None]:
    """Signals that come meanwhile are handled at the end, so that no process is started and known to nobody.

    Of the main thread, which is the one that handles them; a signal that no function of ours handles is none of it.
    """
    came: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    handled = [number for number in numbers if is_main and callable(signal.getsignal(number))]
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def interpreter() -> str:
    """The environment that ``manage.py install_interpreter`` made for tests; ``none`` where it did not."""
    folder = Path(os.environ.get("SOVEREIGN_DATA_DIR") or ROOT / "var") / "interpreter"
    return str(folder) if folder.exists() else "none"


_kept_ports: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else is given until this process ends, however late its server is, or how often it is killed.

    It is bound here and nobody listens: a server that allows addresses to be used again (they all do) may have it, and
    who asks the system for any port gets another one.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _kept_ports.append(keeper)
    port: int = keeper.getsockname()[1]
    return port


class Process:
    """One started command in a process group of its own; its output goes to a file."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        with contextlib.ExitStack() as if_ended:  # now, when nobody has it yet who could end it
            with log.open("ab") as out, held_back(signal.SIGTERM, signal.SIGINT):
                self._popen = subprocess.Popen(
                    arguments, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
                if_ended.callback(self.destroy)
            if_ended.pop_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def ended_well(self) -> bool:
        return self._popen.poll() == 0

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def line(self, prefix: str, timeout: float = START_TIMEOUT) -> str:
        """What follows ``prefix`` on the first line of the output that begins with it, waited for."""

        def look() -> str | None:
            has_ended = not self.alive  # before its output is read: it may say this at last, and end
            lines = self.output().split("\n")[:-1]
            said = next((line for line in lines if line.startswith(prefix)), None)
            if said is None and has_ended:
                raise Died(f"{self.name} ended with {self._popen.returncode}:\n{self.output()[-3000:]}")
            return said

        found = eventually(look, timeout, f"{self.name} writes '{prefix}'")
        assert found is not None
        return found[len(prefix) :].strip()

    def said(self, text: str) -> bool:
        return text in self.output()

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP, until every thread of it stands still."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit status."""
        return self._popen.wait(timeout)

    def kill(self) -> None:
        """kill -9 of the one process, as a crash would; its children are not asked."""
        if self.alive:
            self._popen.kill()
        self._popen.wait(STOP_TIMEOUT)

    def terminate(self) -> int:
        """SIGTERM and the exit status."""
        if self.alive:
            self.signal(signal.SIGTERM)
        return self.wait()

    def destroy(self) -> None:
        """Nothing of it is left afterwards: what it started goes with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(STOP_TIMEOUT)


class Upstream:
    """``tests.support.upstream`` in a process of its own."""

    def __init__(self, folder: Path, *, model: str = "fake", owner: str = "tests") -> None:
        self.model = model
        arguments = [sys.executable, "-u", "-m", "tests.support.upstream", "--model", model, "--owner", owner]
        self.process = Process(f"upstream-{model}", arguments, dict(os.environ), folder / f"upstream-{model}.log")
        try:
            self.port = int(self.process.line(""))
        except BaseException:  # nobody has it yet, who could end it
            self.process.destroy()
            raise
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._client = Client(f"http://127.0.0.1:{self.port}", "")

    def stats(self, key: str = "") -> dict[str, Any]:
        return self._client.get(f"/stats?key={key}" if key else "/stats")

    def kept(self, key: str) -> list[dict[str, Any]]:
        """The bodies of the requests that asked to be kept."""
        bodies: list[dict[str, Any]] = self._client.get(f"/kept?key={key}")
        return bodies

    def release(self, key: str) -> None:
        """Let the answers go on that wait at ``hold``."""
        self._client.post(f"/release?key={key}", {})

    def teach(self, lines: dict[str, str]) -> None:
        """What texts mean that hold no tags: text → tags."""
        self._client.post("/lines", lines)


class Stack:
    """An installation: one database and any number of processes around it."""

    def __init__(
        self, folder: Path, *, engine_url: str, postgres_url: str = "", redis_url: str = "", **settings: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.database = Database(folder, postgres_url)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: list[Process] = []
        self.user = self.password = self.api_key = ""
        self.environment = {
            **os.environ,
            **CLEAN,
            "SOVEREIGN_DATA_DIR": str(folder / "data"),
            "SOVEREIGN_INTERPRETER": interpreter(),
            "SOVEREIGN_HOST": "127.0.0.1",
            "SOVEREIGN_PORT": str(self.port),
            "SOVEREIGN_ENGINE_URL": engine_url,
            "SOVEREIGN_ALERTS_INNER_NETWORK": "true",
            "DATABASE_URL": self.database.url,
            "REDIS_URL": redis_url,
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "sovereign.settings",
            **settings,
        }

    @property
    def server(self) -> Process:
        """The process that answers now."""
        return next(p for p in reversed(self.processes) if p.alive and ("-up" in p.name or "-serve" in p.name))

    @property
    def client(self) -> Client:
        return Client(self.url, self.api_key)

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def prepare(self, *, engines: dict[str, str] | None = None, limited: bool = False) -> None:
        """Migrate and make the first project; ``engines`` (model → address) are registered beside the main one.

        :param limited: the project has limits of every kind, too wide to be reached.
        """
        arguments = [sys.executable, "-m", "tests.support.prepare", json.dumps(engines or {})]
        arguments += ["limited"] if limited else []
        done = subprocess.run(
            arguments,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise Died(f"prepare ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        credentials = json.loads(done.stdout.splitlines()[-1])
        self.user, self.password, self.api_key = (credentials[name] for name in ("user", "password", "api_key"))

    def start(self, *arguments: str, name: str = "") -> Process:
        """``manage.py`` with these arguments."""
        name = f"{len(self.processes):02}-{name or arguments[0]}"
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        process = Process(name, command, self.environment, self.folder / f"{name}.log")
        self.processes.append(process)
        return process

    def up(self) -> Process:
        """``manage.py up``; the credentials that it prints on the first start are kept."""
        process = self.start("up")
        self.await_health(process)
        for name, prefix in (("user", "Administrator: "), ("password", "Password: "), ("api_key", "API key: ")):
            if process.said(prefix):
                setattr(self, name, process.line(prefix))
        return process

    def serve(self) -> Process:
        """The API without a worker, answering."""
        process = self.start("serve", "--no-worker")
        self.await_health(process)
        return process

    def another_key(self, name: str, *arguments: str) -> str:
        """The secret of a new key, that a test may revoke without harm to the others."""
        process = self.start("create_api_key", "--name", name, *arguments)
        assert process.wait(START_TIMEOUT) == 0, process.output()
        return next(line.split()[-1] for line in process.output().splitlines() if line.startswith("API key: "))

    def worker(self, *arguments: str) -> Process:
        """A ``run_worker`` that claims runs."""
        process = self.start("run_worker", *arguments)
        self.await_log(process, "worker_started")
        return process

    def freeze(self, process: Process) -> None:
        """Stop a process, but not inside a transaction: its heartbeat may be in one at any time.

        A file of SQLite has one lock, and who is stopped with it keeps it; then the process goes on, to be tried again.
        """

        def stands() -> bool:
            process.freeze()
            if self.database.is_writable():
                return True
            process.signal(signal.SIGCONT)
            return False

        eventually(stands, what=f"{process.name} stands still, and others can write")

    def await_health(self, process: Process, timeout: float = START_TIMEOUT) -> None:
        def healthy() -> bool:
            if not process.alive:
                raise Died(f"{process.name} ended:\n{process.output()[-3000:]}")
            try:
                return bool(self.client.get("/health")["status"] == "healthy")
            except (OSError, http.client.HTTPException, Refused):
                return False

        eventually(healthy, timeout, f"{self.url}/health\n{process.output()[-2000:]}")

    def await_engine(self, timeout: float = START_TIMEOUT) -> None:
        """Until an engine has produced a token."""

        def ready() -> bool:
            try:
                return bool(self.client.get("/health/ready?engine=1")["status"] == "ready")
            except (OSError, http.client.HTTPException, Refused):
                return False

        eventually(ready, timeout, "an engine that produces tokens")

    def await_log(self, process: Process, text: str, timeout: float = START_TIMEOUT) -> None:
        def logged() -> bool:
            has_ended = not process.alive
            if not (said := process.said(text)) and has_ended:
                raise Died(f"{process.name} ended:\n{process.output()[-3000:]}")
            return said

        eventually(logged, timeout, f"{process.name} logs {text}")

    def reports(self) -> Iterator[tuple[str, str]]:
        """Every process and the end of what it wrote, but of commands that did what they were told."""
        for process in self.processes:
            if process.ended_well:
                continue
            state = "alive" if process.alive else "ended"
            yield f"{process.name} ({state})", process.output()[-4000:]

    def destroy(self) -> None:
        for process in self.processes:
            process.destroy()
        self.database.remove()
