"""Limits on the unpacked size of compressed files: a small file must not exhaust the memory."""

import sys
from typing import NamedTuple

from vgae.errors import DataError


class Limit(NamedTuple):
    """Largest unpacked size of one kind of file.

    Attributes:
        always: Size that every file may have.
        times: Multiple of its packed bytes that a larger file may have.
        most: Size that no file may exceed.
        unit: Unit of ``always`` and ``most``.
    """

    always: int
    times: int = 200
    most: int = sys.maxsize
    unit: str = "bytes"

    def check(self, size: int, packed: int, name: object = "it") -> None:
        """Raise ``UNPACKED_SIZE`` unless a file of ``packed`` bytes may unpack to ``size``."""
        allowed = min(self.most, max(self.always, self.times * packed))
        if size > allowed:
            raise DataError(
                "UNPACKED_SIZE",
                f"{name} has {packed} bytes and would unpack to at least {size} {self.unit}, more"
                f" than {allowed}; if you trust it, unpack it or save it without compression.",
            )


IDX = Limit(64 * 2**20)
NPZ = Limit(256 * 2**20)
PARQUET = Limit(2**24, times=100, unit="values")
TEXT = Limit(16 * 2**20, most=2 * 2**30)
DOCUMENT = 200 * 2**20
