"""Blobs: the immutable bytes of objects and parts, written whole or not at all, kept while they are read.

Which blob belongs to what, and which are still wanted, only the index knows.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from gateway.backends.objects.embedded.blob_files import BlobFiles, NewBlob
from gateway.backends.objects.embedded.version import Segment
from gateway.domain.problems import TooLarge

HOP_BYTES = 1 << 20
"""Read, and gathered to be written, in one hop to a thread:
a small object takes one, a large one hardly waits for them."""

PROBE_BYTES = 1 << 16
"""With less space than this the index, too, would soon have none to grow."""

P = ParamSpec("P")
T = TypeVar("T")


class Blobs:
    """A blob that is being read stays until its last reader has left, though nobody else wants it."""

    def __init__(self, folder: Path) -> None:
        self._files = BlobFiles(folder)
        self._lock = threading.Lock()
        self._readers: Counter[str] = Counter()
        self._unwanted: set[str] = set()

    async def prepare(self) -> None:
        """Make the folder. Raises StorageFull, Unavailable."""
        await _in_thread(self._files.prepare)

    async def write(self, body: AsyncIterator[bytes], *, limit_bytes: int) -> tuple[Segment, str]:
        """A new blob with all of `body`, on the disk when it returns, and its MD5 in hex; or nothing.

        Raises TooLarge, StorageFull, Unavailable, and whatever `body` raises.
        """
        blob = self._files.new()
        try:
            return await _fill(blob, body, limit_bytes)
        except BaseException:
            await _in_thread(blob.discard)
            raise

    async def link(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """New blobs with the same bytes, durable. The caller holds the old ones.

        Raises StorageFull, Unavailable.

        Those of a caller that is cancelled here stay until the next start's `sweep`.
        """
        return await _in_thread(self._link, segments)

    async def read(self, segments: Sequence[Segment], start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to, not including, `end`. The caller holds the segments.

        Raises Unavailable.
        """
        for segment in segments:
            offset, stop = max(start, 0), min(end, segment.size_bytes)
            while offset < stop:
                size = min(HOP_BYTES, stop - offset)
                chunk = await _in_thread(self._files.read, segment.blob, offset=offset, size_bytes=size)
                offset += len(chunk)
                yield chunk
            start, end = start - segment.size_bytes, end - segment.size_bytes

    @contextmanager
    def holding(self) -> Iterator[Callable[[Sequence[Segment]], None]]:
        """What is handed to the function it gives stays until the end of the context.

        To be called where no `remove` can come between finding the segments and this; after the end it does
        nothing. Leaving blocks only to remove what became unwanted meanwhile, which is seldom.
        """
        held: set[str] = set()
        over = False

        def hold(segments: Sequence[Segment]) -> None:
            with self._lock:
                if not over:
                    held.update(segment.blob for segment in segments)
                    self._readers.update(held)

        try:
            yield hold
        finally:
            with self._lock:
                over = True
                leaving = self._leave(held)
            self._files.remove(leaving)

    def remove(self, names: Iterable[str]) -> None:
        """Nobody refers to them any more. Blocking."""
        with self._lock:
            unwanted = set(names)
            held = unwanted & self._readers.keys()
            self._unwanted |= held
        self._files.remove(unwanted - held)

    async def sweep(self, wanted: set[str]) -> int:
        """Remove every blob that is not `wanted`; how many. For start-up, before anything is written."""
        return await _in_thread(self._files.sweep, wanted)

    async def probe(self) -> None:
        """Raises StorageFull or Unavailable when no blob can be written."""
        blob = self._files.new()
        try:
            await _in_thread(blob.write, bytes(PROBE_BYTES))
        finally:
            await _in_thread(blob.discard)

    def _leave(self, held: set[str]) -> set[str]:
        """Under the lock: one reader fewer; the blobs that were only waiting for this one."""
        self._readers.subtract(held)
        self._readers = +self._readers
        leaving = {name for name in held & self._unwanted if name not in self._readers}
        self._unwanted -= leaving
        return leaving

    def _link(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        made: list[Segment] = []
        try:
            made.extend(Segment(self._files.link(each.blob), each.size_bytes) for each in segments)
        except BaseException:
            self._files.remove(segment.blob for segment in made)
            raise
        return tuple(made)


async def _fill(blob: NewBlob, body: AsyncIterator[bytes], limit_bytes: int) -> tuple[Segment, str]:
    size_bytes = 0
    gathered = bytearray()
    async for chunk in body:
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise TooLarge(f"an object may have {limit_bytes} bytes")
        gathered += chunk
        if len(gathered) >= HOP_BYTES:
            await _in_thread(blob.write, bytes(gathered))
            gathered.clear()
    md5 = await _in_thread(blob.finish, bytes(gathered))
    return Segment(blob.name, size_bytes), md5


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs to its end even when its caller is cancelled: what it has begun is never left half-way."""
    return await asyncio.shield(
        asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **kwargs))
    )
