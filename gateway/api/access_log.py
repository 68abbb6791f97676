"""The access log: OSCAR's line for every call and job, in a file of bounded size with one older one beside
it.

Written in batches on a thread, so that no request waits for the disk; the oldest beyond what may wait are
dropped. Gives up: a line is lost if the process is killed before its batch is written.
"""

import asyncio
import re
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import structlog

log = structlog.get_logger(__name__)

MARK = "[GIN-EXECUTIONS-LOGGER]"
"""By this OSCAR's own log readers find the lines."""

SIZE_LIMIT = 4 << 20
WAITING_LIMIT = 100_000
BATCH_S = 0.25
"""Between two batches: under load a thread for each line would cost more than the call it is about."""
PATH_LIMIT = 300

_PLAIN = re.compile(rf"[A-Za-z0-9/._-]{{0,{PATH_LIMIT}}}")
_LINE = re.compile(
    re.escape(MARK)
    + r" (?P<timestamp>\S+) \| +(?P<status>\d{3}) \| +(?P<latency>\S+) \| +(?P<client_ip>\S+)"
    + r" \| (?P<method>[A-Z]+) +(?P<path>\S+) \| (?P<user>\S+)"
)


class Answered(NamedTuple):
    """One answered call or job. `user` is OSCAR's word: `oscar` for the administrator, a uid, or `nil`
    without identity."""

    at: datetime
    status: int
    took_s: float
    client: str
    method: str
    path: str
    user: str

    def line(self) -> str:
        at = f"{_second(int(self.at.timestamp()))}.{self.at.microsecond:06}Z"
        path, user = _quoted(self.path)[:PATH_LIMIT], _quoted(self.user) or "nil"
        return (
            f"{MARK} {at} | {self.status:3} | {self.took_s * 1000:.3f}ms | {self.client or '-'} "
            f"| {self.method:<7} {path} | {user}"
        )


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text)


@lru_cache(maxsize=2)
def _second(since_epoch: int) -> str:
    """Many lines are of the same one."""
    return datetime.fromtimestamp(since_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_line(line: str) -> dict[str, str | int] | None:
    """The parts as `/system/logs` shows them, `raw` being the line itself; None if it is not such a line."""
    match = _LINE.fullmatch(line.rstrip("\n"))
    if match is None:
        return None
    return {**match.groupdict(), "status": int(match["status"]), "raw": match.string}


class AccessLog:
    """`others` are the logs of processes that share the port: read along, never written."""

    def __init__(self, path: Path, *, size_limit: int = SIZE_LIMIT, others: Sequence[Path] = ()) -> None:
        self._file = _File(path, size_limit)
        self._others = others
        self._due = False
        # What waits is written when nobody holds the log any more, at the latest when the process ends.
        weakref.finalize(self, self._file.write_waiting)

    def note(self, answered: Answered) -> None:
        """Returns at once; the oldest waiting line is dropped when too many wait."""
        self._file.waiting.append(answered)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(BATCH_S, self._write)

    async def lines(self, *, older: bool) -> list[str]:
        """Oldest first: of the file being written, or of the one before it. Of other processes, what they
        wrote up to `BATCH_S` ago."""
        return await asyncio.to_thread(self._read, older)

    def _read(self, older: bool) -> list[str]:
        lines = self._file.read(older)
        if not self._others:
            return lines
        for path in self._others:
            lines += _lines(_older(path) if older else path)
        # Every line begins with the same mark and then its time.
        return sorted(lines)

    def _write(self) -> None:
        self._due = False
        with suppress(RuntimeError):  # its threads end before the loop does: then the finalizer writes
            asyncio.get_running_loop().run_in_executor(None, self._file.write_waiting)


class _File:
    """Blocking; safe between threads."""

    def __init__(self, path: Path, size_limit: int) -> None:
        self.waiting: deque[Answered] = deque(maxlen=WAITING_LIMIT)
        self._path = path
        self._older = _older(path)
        self._size_limit = size_limit
        self._writing = threading.Lock()

    def read(self, older: bool) -> list[str]:
        self.write_waiting()
        return _lines(self._older if older else self._path)

    def write_waiting(self) -> None:
        with self._writing:
            lines = []
            while self.waiting:
                lines.append(self.waiting.popleft().line() + "\n")
            try:
                if lines:
                    self._append("".join(lines))
            except OSError as error:
                log.warning("access_log.lost", lines=len(lines), why=str(error))

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)
            size = file.tell()
        if size > self._size_limit:
            self._path.replace(self._older)


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
