"""How much one session may use."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

MIB = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds.

    :param memory: of all its processes together, what their files take not counted.
    :param disk: of ``/mnt/data``; a single file may be as large.
    :param scratch: of ``/tmp``.
    :param files: in each of these two.
    :param processes: and threads; ``open_files`` are those of one process.
    :param output: that one piece of code may print.
    :param processor: seconds of the processor that each of its processes may use, in the session's whole life.
    :param idle_processor: seconds of the processor that may be used while no code was asked to run.
    """

    memory: int = 1024 * MIB
    disk: int = 256 * MIB
    scratch: int = 64 * MIB
    files: int = 20_000
    processes: int = 32
    open_files: int = 128
    output: int = MIB
    image: int = 8 * MIB
    images: int = 20
    processor: int = 3600
    idle_processor: float = 10.0
    start: float = 20.0
    file: float = 60.0
    grace: float = 2.0

    @property
    def address_space(self) -> int:
        """Of one process: libraries reserve far more than they use."""
        return 2 * self.memory + 1024 * MIB


def configured() -> Limits:
    """What the operator decided."""
    configuration = settings.SOVEREIGN
    return Limits(
        memory=configuration.interpreter_memory_bytes,
        disk=configuration.interpreter_disk_bytes,
    )
