"""What can be added up though it is no number: how values are spread, and how many different ones there were.

Both are bytes in a row of the database. Merging is exact: of two sketches it gives the one that all values together
would have given, in whatever order, so that roll-ups of hours make those of days.
"""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from django.conf import settings

ACCURACY = 0.01  # a quantile is at most so far from the value that it stands for
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
LOG_GAMMA = math.log(GAMMA)
LITTLE = sys.byteorder == "little"

HASH_BYTES = 8
EXACT = 512  # different members, up to which they are counted one by one
REGISTER_BITS = 12
REGISTERS = 1 << REGISTER_BITS  # beyond that estimated, to within 1.6 % (one standard error)
REST_BITS = 64 - REGISTER_BITS


@dataclass(slots=True)
class Spread:
    """How positive values are spread: a DDSketch (Masson, Rim, Lee, 2019), whose bins grow by 2 % each.

    :ivar bins: how many values lie in the bin of a number; those of up to 1 in bin 0.
    """

    bins: dict[int, int] = field(default_factory=dict)

    def add(self, value: float, times: int = 1) -> None:
        index = math.ceil(math.log(value) / LOG_GAMMA) if value > 1 else 0
        self.bins[index] = self.bins.get(index, 0) + times

    def merge(self, other: Spread) -> None:
        for index, times in other.bins.items():
            self.bins[index] = self.bins.get(index, 0) + times

    @property
    def count(self) -> int:
        return sum(self.bins.values())

    def quantile(self, share: float) -> float | None:
        """The value that ``share`` of all (0 to 1) do not exceed; ``None`` where there are none."""
        total = self.count
        if not total:
            return None
        rank, seen = max(1, math.ceil(share * total)), 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen >= rank:
                return value_of(index)
        raise AssertionError("the bins hold all values")

    def dump(self) -> bytes:
        pairs = array("I", [number for index in sorted(self.bins) for number in (index, self.bins[index])])
        if not LITTLE:
            pairs.byteswap()
        return pairs.tobytes()

    @classmethod
    def load(cls, stored: bytes | memoryview) -> Spread:
        pairs = array("I")
        pairs.frombytes(bytes(stored))
        if not LITTLE:
            pairs.byteswap()
        return cls(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    @classmethod
    def load_all(cls, stored: Iterable[bytes | memoryview]) -> Spread:
        """Many of them merged, at once."""
        import numpy as np  # 16 MB, which a process that is asked for no analytics does without

        pairs = np.frombuffer(b"".join(stored), "<u4").reshape(-1, 2)
        times = np.bincount(pairs[:, 0], weights=pairs[:, 1])  # floats, which hold whole numbers up to 2**53
        return cls({int(index): int(times[index]) for index in np.flatnonzero(times)})


def value_of(index: int) -> float:
    """What stands for the values of a bin: not further from any of them than ``ACCURACY``.

    >>> value_of(0)
    1.0
    """
    return 2 * GAMMA**index / (GAMMA + 1) if index else 1.0


@dataclass(slots=True)
class Distinct:
    """How many different members there were: their hashes, and beyond ``EXACT`` a HyperLogLog (Flajolet et al., 2007).

    :ivar hashes: of 64 bits; empty where there are registers.
    :ivar registers: for each number of the first 12 bits, the most zeros that began the rest of a hash, plus one.
    """

    hashes: set[int] = field(default_factory=set)
    registers: bytearray | None = None

    def add(self, member: str) -> None:
        self._take(digest_of(member))
        self._settle()

    def merge(self, other: Distinct) -> None:
        if other.registers is not None:
            mine = self._as_registers()
            self.registers = bytearray(map(max, mine, other.registers))
        if self.registers is None:
            self.hashes |= other.hashes
            self._settle()
        else:
            for number in other.hashes:
                self._take(number)

    @property
    def count(self) -> int:
        if self.registers is None:
            return len(self.hashes)
        zeros = self.registers.count(0)
        estimate = (0.7213 / (1 + 1.079 / REGISTERS)) * REGISTERS**2 / sum(2.0**-one for one in self.registers)
        if estimate <= 2.5 * REGISTERS and zeros:
            estimate = REGISTERS * math.log(REGISTERS / zeros)
        return round(estimate)

    def _take(self, number: int) -> None:
        if self.registers is None:
            self.hashes.add(number)
            return
        place, rest = number >> REST_BITS, number & ((1 << REST_BITS) - 1)
        self.registers[place] = max(self.registers[place], REST_BITS - rest.bit_length() + 1)

    def _settle(self) -> None:
        if len(self.hashes) > EXACT:
            self._as_registers()

    def _as_registers(self) -> bytearray:
        if self.registers is None:
            hashes, self.hashes, self.registers = self.hashes, set(), bytearray(REGISTERS)
            for number in hashes:
                self._take(number)
        return self.registers

    def dump(self) -> bytes:
        if self.registers is not None:
            return bytes(self.registers)
        return b"".join(number.to_bytes(HASH_BYTES, "little") for number in sorted(self.hashes)) + b"."

    @classmethod
    def load(cls, stored: bytes | memoryview) -> Distinct:
        content = bytes(stored)
        if len(content) == REGISTERS:
            return cls(registers=bytearray(content))
        numbers = (content[at : at + HASH_BYTES] for at in range(0, len(content) - 1, HASH_BYTES))
        return cls({int.from_bytes(number, "little") for number in numbers})

    @classmethod
    def load_all(cls, stored: Iterable[bytes | memoryview]) -> Distinct:
        """Many of them merged, at once."""
        import numpy as np

        contents = [bytes(one) for one in stored]
        hashes = np.unique(np.frombuffer(b"".join(one[:-1] for one in contents if len(one) != REGISTERS), "<u8"))
        kept = [np.frombuffer(one, np.uint8) for one in contents if len(one) == REGISTERS]
        if not kept and len(hashes) <= EXACT:
            return cls({int(number) for number in hashes})
        rests = hashes & np.uint64((1 << REST_BITS) - 1)
        registers = np.maximum.reduce([np.zeros(REGISTERS, np.uint8), *kept])
        _, lengths = np.frexp(rests.astype(np.float64))  # of 52 bits, which a float holds exactly
        np.maximum.at(registers, hashes >> np.uint64(REST_BITS), (REST_BITS - lengths + 1).astype(np.uint8))
        return cls(registers=bytearray(registers.tobytes()))


def digest_of(member: str) -> int:
    """64 bits that are the same in every process of this house, and tell nobody who has not its secret who it was."""
    hashed = hashlib.blake2b(member.encode(errors="surrogatepass"), digest_size=HASH_BYTES, key=_key())
    return int.from_bytes(hashed.digest(), "little")


@cache
def _key() -> bytes:
    return hashlib.sha256(b"sovereign.analytics:" + settings.SECRET_KEY.encode()).digest()


def add_counts(into: dict[str, int], more: Mapping[str, int] | Iterable[str]) -> None:
    """Count words, or add counts to counts.

    >>> counts = {"a": 1}; add_counts(counts, {"a": 2}); add_counts(counts, ["b"]); counts
    {'a': 3, 'b': 1}
    """
    pairs = more.items() if isinstance(more, Mapping) else ((word, 1) for word in more)
    for word, times in pairs:
        into[word] = into.get(word, 0) + times
