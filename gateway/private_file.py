"""Private files that are whole or not there, and durable when a function returns. Blocking: for threads.

Each raises OSError, and then has changed nothing that it can help.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".new"


def make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_file(path: Path, content: bytes) -> None:
    """Raises FileExistsError if it is there, whoever made it."""
    with _temporary(path, content) as temporary:
        os.link(temporary, path)
        try:
            _sync_folder(path.parent)
        except OSError:
            path.unlink()
            raise


def replace_file(path: Path, content: bytes) -> None:
    with _temporary(path, content) as temporary:
        temporary.replace(path)
        _sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Also when it is not there."""
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
