"""Databases in which every migration has been applied and nothing was written since: made once, copied by every test
that wants one. To migrate takes a dozen seconds, a copy next to none.

They lie in ``var/tests`` and in the Postgres server under names that tell what they were made of; those of other
migrations are removed when a new one is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "tests"
PREFIX = "sovereign_migrated_"
#: what the tables follow from: our migrations, the fields that they name, and the pins of everybody else's
FIELDS, PINS = ROOT / "sovereign" / "core" / "fields.py", ROOT / "requirements" / "app.txt"
ROOMS = ("sovereign", "assistants", "threads", "runs", "inference")
LOCK = 0x6D6967726174  # "migrat"
EXTENSIONS = "SELECT name, default_version FROM pg_available_extensions WHERE name = 'vector'"


def sqlite_file() -> Path:
    """A file to be copied; nobody may write it."""
    path = FOLDER / f"{PREFIX}{_digest()}.sqlite3"
    with _alone():
        if not path.exists():
            for old in FOLDER.glob(f"{PREFIX}*"):
                old.unlink()
            making = FOLDER / "making.sqlite3"
            making.unlink(missing_ok=True)
            _migrate(f"sqlite:///{making}")
            with contextlib.closing(sqlite3.connect(making)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
            making.rename(path)
    return path


def copy_of_sqlite(path: Path) -> None:
    """Make the file."""
    shutil.copyfile(sqlite_file(), path)


def postgres_template(server: str) -> str:
    """The name of a database for ``CREATE DATABASE … TEMPLATE``.

    :param server: the URL of any of its databases, there or not.
    """
    with psycopg.connect(_beside(server, "postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # until the connection's end
        made_of = repr([connection.info.server_version, *connection.execute(EXTENSIONS).fetchall()])
        name, making = f"{PREFIX}{_digest(made_of)}", f"{PREFIX}making"
        there = [row[0] for row in connection.execute("SELECT datname FROM pg_database")]
        if name not in there:
            for old in (one for one in there if one.startswith(PREFIX)):
                connection.execute(f'DROP DATABASE IF EXISTS "{old}"'.encode())
            connection.execute(f'CREATE DATABASE "{making}"'.encode())
            _migrate(_beside(server, making))
            connection.execute(f'ALTER DATABASE "{making}" RENAME TO "{name}"'.encode())
    return name


def _beside(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def _digest(more: str = "") -> str:
    found = hashlib.sha256(more.encode())
    migrations = (path for room in ROOMS for path in (ROOT / room).glob("**/migrations/*.py"))
    for path in (FIELDS, PINS, *sorted(migrations)):
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time, of all that run tests here."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _migrate(url: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "sovereign.settings"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The migrations failed:\n{done.stderr}")
