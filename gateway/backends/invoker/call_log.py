"""The call log: what calls wrote to stderr, a bounded file a service. Blocking; safe between threads."""

import threading
from datetime import datetime
from pathlib import Path

from gateway.backends.invoker.protocol import LogLine
from gateway.staging.log import read_entry

FILE_LIMIT = 1 << 20
"""A file that reached it becomes the older one of two, bytes."""
CALL_LIMIT = 64 << 10
"""Kept of one call: its end, bytes."""


class CallLog:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def add(self, service: str, run_log: Path) -> None:
        """Take over the stderr entries of a call's log. Raises OSError."""
        with run_log.open("rb") as lines:
            kept = b"".join(line for line in lines if line.split(b" ", 2)[1:2] == [b"stderr"])
        if not kept:
            return
        if len(kept) > CALL_LIMIT:
            kept = kept[-CALL_LIMIT:].partition(b"\n")[2]
        newer, older = self._files(service)
        with self._lock:
            if newer.exists() and newer.stat().st_size >= FILE_LIMIT:
                newer.replace(older)
            with newer.open("ab") as file:
                file.write(kept)

    def tail(self, service: str, count: int) -> tuple[LogLine, ...]:
        """The last `count` lines, oldest first. Raises OSError."""
        newer, older = self._files(service)
        with self._lock:
            raw = b"".join(file.read_bytes() for file in (older, newer) if file.exists())
        return tuple(_line(entry) for entry in raw.splitlines()[-count:])

    def remove(self, service: str) -> None:
        """Raises OSError."""
        with self._lock:
            for file in self._files(service):
                file.unlink(missing_ok=True)

    def _files(self, service: str) -> tuple[Path, Path]:
        return self._folder / f"{service}.log", self._folder / f"{service}.log.1"


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
