"""Chunks: bytes between files and whoever sends or takes them, never a whole file in memory."""

from asyncio import to_thread
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from gateway.staging.disk import disk_problems

CHUNK = 3 << 16
"""A multiple of three, so that the Base64 of the chunks is that of the whole, bytes."""


async def read_chunks(opening: Callable[[], BinaryIO]) -> AsyncGenerator[bytes, None]:
    """All of the file in chunks of `CHUNK` bytes but the last; whoever stops before closes it. Raises
    Unavailable."""
    with disk_problems("reading a file"):
        file = await to_thread(opening)
    with file:
        while True:
            with disk_problems("reading a file"):
                chunk = await to_thread(file.read, CHUNK)
            if not chunk:
                return
            yield chunk


def read_file(path: Path) -> AsyncGenerator[bytes, None]:
    """As `read_chunks`."""
    return read_chunks(lambda: path.open("rb"))


async def write_file(path: Path, chunks: AsyncIterator[bytes]) -> None:
    """All of the chunks, in place of what was there. Raises StorageFull, Unavailable, and what the chunks
    raise."""
    with disk_problems("writing a file"):
        file = await to_thread(path.open, "wb", 0)
    with file:
        waiting = bytearray()
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= CHUNK:
                await _write(file, waiting)
        await _write(file, waiting)


async def _write(file: FileIO, waiting: bytearray) -> None:
    with disk_problems("writing a file"):
        await to_thread(_write_all, file, bytes(waiting))
    waiting.clear()


def _write_all(file: FileIO, content: bytes) -> None:
    """Not through a buffer, whose rest would fail a second time when the file is closed."""
    while content:
        content = content[file.write(content) :]
