"""Blob files: the blocking calls on the disk, each whole in itself. Always run in a thread, but at start-up.

Errors of the operating system end here, as StorageFull and Unavailable.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gateway.domain.problems import StorageFull, Unavailable


class BlobFiles:
    """Files by random names, in up to 256 folders under one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder. Raises StorageFull, Unavailable."""
        with _told_as_problems():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sync_folder(self._folder.parent)

    def path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def new(self) -> "NewBlob":
        name = secrets.token_hex(16)
        return NewBlob(name, self.path(name))

    def read(self, name: str, *, offset: int, size_bytes: int) -> bytes:
        """At least one byte. Opens anew each time: no descriptor stays with a reader that was given up."""
        with _told_as_problems(), self.path(name).open("rb", buffering=0) as file:
            chunk = os.pread(file.fileno(), size_bytes, offset)
        if not chunk:
            raise Unavailable("a file of the object store was cut short")
        return chunk

    def link(self, name: str) -> str:
        """A new blob with the same bytes, durable: a second name of the file where the disk can have such."""
        copy = secrets.token_hex(16)
        with _told_as_problems():
            _make_folder(self.path(copy).parent)
            try:
                os.link(self.path(name), self.path(copy))
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    raise
                self._copy(name, copy)
            _sync_folder(self.path(copy).parent)
        return copy

    def remove(self, names: Iterable[str]) -> None:
        """What cannot be removed now is found by the next start's `sweep`."""
        for name in names:
            with contextlib.suppress(OSError):
                self.path(name).unlink()

    def sweep(self, wanted: set[str]) -> int:
        """Remove every blob that is not `wanted`; how many. For start-up, before anything is written."""
        with _told_as_problems():
            names = {entry.name for folder in os.scandir(self._folder) for entry in os.scandir(folder)}
        self.remove(names - wanted)
        return len(names - wanted)

    def _copy(self, name: str, copy: str) -> None:
        try:
            with self.path(name).open("rb") as source, self.path(copy).open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                _sync(target)
        except BaseException:
            self.remove([copy])
            raise


class NewBlob:
    """A blob being written: one writer, and `discard` from wherever.

    Not promised to last until `finish` returned.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._file: BinaryIO | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._discarded = False
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Raises StorageFull, Unavailable."""
        with self._lock, _told_as_problems():
            if not self._discarded:
                self._append(data)

    def finish(self, data: bytes) -> str:
        """Write the last bytes and wait for the disk; the MD5 of all in hex.

        Raises StorageFull, Unavailable.
        """
        with self._lock, _told_as_problems():
            if not self._discarded:
                _sync(self._append(data))
                self._close()
                _sync_folder(self._path.parent)
            return self._md5.hexdigest()

    def discard(self) -> None:
        """Leave nothing of it. It may come before a `write` that was given up has begun."""
        with self._lock, contextlib.suppress(OSError):
            self._discarded = True
            self._close()
            self._path.unlink(missing_ok=True)

    def _append(self, data: bytes) -> BinaryIO:
        if self._file is None:
            _make_folder(self._path.parent)
            self._file = self._path.open("xb", buffering=0)
        self._md5.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _make_folder(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """So that a new name outlives a power cut, as the bytes do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told_as_problems() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("the object store has no space left") from error
        raise Unavailable("the object store cannot use its disk") from error
