"""The call log: what calls wrote to stderr, a bounded file a service. Blocking; safe between threads."""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from gateway.backends.invoker.protocol import LogLine
from gateway.staging.log import read_entry

FILE_LIMIT = 1 << 20
"""A file that reached it becomes the older one of two, bytes."""
CALL_LIMIT = 64 << 10
"""Kept of one call: its end, bytes."""


class CallLog:
    """`others` are the folders of processes that share the port: read along and removed with ours, never
    written."""

    def __init__(self, folder: Path, *, others: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._others = others
        self._lock = threading.Lock()

    def add(self, service: str, run_log: Path) -> None:
        """Take over the stderr entries of a call's log. Raises OSError."""
        with run_log.open("rb") as lines:
            kept = b"".join(line for line in lines if line.split(b" ", 2)[1:2] == [b"stderr"])
        if not kept:
            return
        if len(kept) > CALL_LIMIT:
            kept = kept[-CALL_LIMIT:].partition(b"\n")[2]
        newer, older = _files(self._folder, service)
        with self._lock:
            if newer.exists() and newer.stat().st_size >= FILE_LIMIT:
                newer.replace(older)
            with newer.open("ab") as file:
                file.write(kept)

    def tail(self, service: str, count: int) -> tuple[LogLine, ...]:
        """The last `count` lines, oldest first. Raises OSError."""
        newer, older = _files(self._folder, service)
        with self._lock:
            entries = b"".join(_content(file) for file in (older, newer)).splitlines()
        for folder in self._others:
            entries += b"".join(_content(file) for file in _files(folder, service)).splitlines()
        if self._others:
            entries.sort()  # each begins with its time
        return tuple(_line(entry) for entry in entries[-count:])

    def remove(self, service: str) -> None:
        """Raises OSError."""
        with self._lock:
            for folder in (self._folder, *self._others):
                for file in _files(folder, service):
                    file.unlink(missing_ok=True)


def _files(folder: Path, service: str) -> tuple[Path, Path]:
    """The newer and the older one."""
    return folder / f"{service}.log", folder / f"{service}.log.1"


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _line(raw: bytes) -> LogLine:
    entry = read_entry(raw)
    if entry is None:
        return LogLine(raw.decode("utf-8", "replace"))
    return LogLine(entry.text.decode("utf-8", "replace"), _moment(entry.at))


def _moment(at: bytes) -> datetime | None:
    """Microseconds are what Python has."""
    try:
        return datetime.fromisoformat(at[:26].decode().rstrip("Z") + "+00:00")
    except ValueError:
        return None
