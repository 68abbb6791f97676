"""Laying down: a body taken piece by piece, each to be read as often as sending it takes. A store wants a
length first; small pieces stay in memory, the others are files without a name."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from gateway.domain.parted import part_bytes
from gateway.staging.disk import disk_problems

IN_MEMORY = part_bytes(1)
"""A larger piece is laid on the disk, bytes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`last`: nothing of the body comes after it. Whoever got it closes the file."""

    file: BinaryIO
    size_bytes: int
    last: bool


class Laying:
    taken_bytes = 0
    """Of all pieces so far."""

    def __init__(self, body: AsyncIterator[bytes], folder: Path) -> None:
        self._body = body
        self._folder = folder
        self._held = b""

    async def piece(self, most: int = sys.maxsize) -> Piece:
        """The next `most` bytes, or what is left. Raises StorageFull, Unavailable, what the body raises."""
        file: BinaryIO = BytesIO()
        size_bytes = 0
        while size_bytes < most and await self._more():
            chunk, self._held = self._held[: most - size_bytes], self._held[most - size_bytes :]
            with disk_problems("laying down an output"):
                if size_bytes <= IN_MEMORY < size_bytes + len(chunk):
                    file = await asyncio.to_thread(_moved, file, self._folder)
                await asyncio.to_thread(file.write, chunk)
            size_bytes += len(chunk)
        file.seek(0)
        self.taken_bytes += size_bytes
        return Piece(file, size_bytes, last=not await self._more())

    async def _more(self) -> bool:
        """Whether there is more; some of it is held then."""
        while not self._held:
            chunk = await anext(self._body, None)
            if chunk is None:
                return False
            self._held = chunk
        return True


def _moved(file: BinaryIO, folder: Path) -> BinaryIO:
    on_disk: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # whoever gets the piece closes it
    file.seek(0)
    on_disk.write(file.read())
    return on_disk
