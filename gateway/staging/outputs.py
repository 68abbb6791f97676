"""The outputs: the plain files a script left in its output folder. Links, pipes and devices are never
followed."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.parted import LARGEST_BYTES
from gateway.domain.problems import TooLarge

FILES_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Output:
    """`name` is relative to the output folder, with `/`; bytes of it that are not UTF-8 are surrogates, as
    Python has them."""

    name: str
    path: Path
    size_bytes: int

    @property
    def printable(self) -> str:
        """The name with bytes that are not UTF-8 written as `\\xNN`."""
        return printable(self.name)

    @property
    def utf8(self) -> bool:
        return self.printable == self.name

    def open(self) -> io.BufferedReader:
        """Blocking. Raises OSError."""
        return os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Ordered by name. `skipped` tells, a line each, what is there but no plain file."""

    files: tuple[Output, ...]
    skipped: tuple[str, ...] = ()


def find_outputs(folder: Path, *, limit_bytes: int) -> Outputs:
    """Blocking. Raises TooLarge for more than `FILES_LIMIT` files or `limit_bytes` together, or for a file
    that no store holds as one object."""
    files: list[Output] = []
    skipped: list[str] = []
    size = 0
    if folder.is_symlink() or not folder.is_dir():
        return Outputs((), ("the output folder itself is gone",))
    for name, entry in _walk(folder, skipped):
        if not entry.is_file(follow_symlinks=False):
            skipped.append(f"{printable(name)}: not a plain file")
            continue
        files.append(_output(name, entry))
        size += files[-1].size_bytes
        if len(files) > FILES_LIMIT:
            raise TooLarge(f"the script left more than {FILES_LIMIT} output files, which is the limit")
        if size > limit_bytes:
            raise TooLarge(
                f"the script left more than {limit_bytes} bytes of output, which is the limit (OUTPUT_LIMIT)"
            )
        if files[-1].size_bytes > LARGEST_BYTES:
            raise TooLarge(
                f"{printable(name)} has more than {LARGEST_BYTES} bytes, which is the most of one object"
            )
    files.sort(key=lambda output: os.fsencode(output.name))
    return Outputs(tuple(files), tuple(skipped[:FILES_LIMIT]))


def printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _walk(folder: Path, skipped: list[str]) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Everything below the folder but the folders themselves. A loop, for scripts that nest deeper than a
    stack."""
    waiting = [(folder, "")]
    while waiting:
        path, prefix = waiting.pop()
        try:
            _allow(path, stat.S_IRWXU)
            entries = list(os.scandir(path))
        except OSError as error:
            skipped.append(f"{printable(prefix)}: {error.strerror}")
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
            else:
                yield prefix + entry.name, entry


def _output(name: str, entry: "os.DirEntry[str]") -> Output:
    path = Path(entry.path)
    _allow(path, stat.S_IRUSR)
    return Output(name, path, entry.stat(follow_symlinks=False).st_size)


def _allow(path: Path, needed: int) -> None:
    """Give ourselves the rights that a script took away from its own files."""
    mode = path.stat().st_mode
    if mode & needed != needed:
        path.chmod(stat.S_IMODE(mode) | needed)
