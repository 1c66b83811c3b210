"""``python -m tests.sdk.generated.sources``: fetch and unpack the source packages that ``sources.txt`` pins.

A version that is there stays as it is. pip fetches, by its own configuration, and checks the hashes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.fixtures import skip_ring

FOLDER = Path(__file__).parent
UNPACKED = FOLDER / ".sources"  # the leading dot keeps our own pytest out
WANTED = ("tests/", "pyproject.toml", "LICENSE")
TIMEOUT = 300.0  # seconds for one package


@dataclass(frozen=True, slots=True)
class Source:
    """One pinned source package, and the client environment with the same version installed."""

    environment: str
    requirement: str
    hash: str

    @property
    def folder(self) -> Path:
        """Where its tests are, named after the content, so that another pin is another folder."""
        return UNPACKED / f"{self.requirement.replace('==', '-')}-{self.hash[-12:]}"


def sources() -> list[Source]:
    """What ``sources.txt`` pins."""
    lines = (FOLDER / "sources.txt").read_text().splitlines()
    return [Source(*line.split()) for line in lines if line and not line.startswith("#")]


def folder_of(environment: str) -> Path:
    """The unpacked package; the test is left out (or fails, see ``skip_ring``) where it is not there."""
    source = next(source for source in sources() if source.environment == environment)
    if not source.folder.is_dir():
        skip_ring(f"the source package {source.requirement} is not unpacked: run tests/setup.sh")
    return source.folder


def fetch(source: Source) -> None:
    """Download and unpack, unless it was.

    :raises subprocess.CalledProcessError: pip could not, or the package is not the pinned one.
    """
    if source.folder.is_dir():
        return
    UNPACKED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED) as name:
        scratch = Path(name)
        pins = scratch / "pins.txt"
        pins.write_text(f"{source.requirement} {source.hash}\n")
        download = ["download", "-q", "--no-deps", "--no-binary", "openai", "--require-hashes", "-r", str(pins)]
        command = [sys.executable, "-m", "pip", *download, "--dest", name]
        subprocess.run(command, check=True, timeout=TIMEOUT)
        (package,) = scratch.glob("*.tar.gz")
        _unpack(package, scratch / "unpacked")
        try:
            (scratch / "unpacked").rename(source.folder)
        except OSError:  # another process was quicker
            shutil.rmtree(scratch / "unpacked")


def _unpack(package: Path, folder: Path) -> None:
    """The wanted part of a source package, without its top folder."""
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            _, _, member.name = member.name.partition("/")
            if member.name.startswith(WANTED):
                archive.extract(member, folder, filter="data")


def main() -> int:
    failed = 0
    for source in sources():
        try:
            fetch(source)
        except (subprocess.SubprocessError, OSError, tarfile.TarError) as error:
            failed = 1
            print(f"{source.requirement} could not be fetched; its tests are left out: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
