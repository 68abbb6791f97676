"""The access log: OSCAR's line for every call and job, in a file of bounded size with one older one beside
it.

Written in batches on a thread, so that no request waits for the disk; lines beyond what may wait are
dropped, and counted. Gives up: a line is lost if the process is killed before its batch is written.
"""

import asyncio
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import structlog

log = structlog.get_logger(__name__)

MARK = "[GIN-EXECUTIONS-LOGGER]"
"""By this OSCAR's own log readers find the lines."""

SIZE_LIMIT = 4 << 20
WAITING_LIMIT = 20_000
PATH_LIMIT = 300

_LINE = re.compile(
    re.escape(MARK)
    + r" (?P<timestamp>\S+) \| +(?P<status>\d{3}) \| +(?P<latency>\S+) \| +(?P<client_ip>\S+)"
    + r" \| (?P<method>[A-Z]+) +(?P<path>\S+) \| (?P<user>\S+)"
)


@dataclass(frozen=True, slots=True)
class Answered:
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
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        path = quote(self.path)[:PATH_LIMIT]
        return (
            f"{MARK} {at} | {self.status:3} | {self.took_s * 1000:.3f}ms | {self.client or '-'} "
            f"| {self.method:<7} {path} | {quote(self.user) or 'nil'}"
        )


def parse_line(line: str) -> dict[str, str | int] | None:
    """The parts as `/system/logs` shows them, `raw` being the line itself; None if it is not such a line."""
    match = _LINE.fullmatch(line.rstrip("\n"))
    if match is None:
        return None
    return {**match.groupdict(), "status": int(match["status"]), "raw": match.string}


class AccessLog:
    def __init__(self, path: Path, *, size_limit: int = SIZE_LIMIT) -> None:
        self._path = path
        self._older = path.with_name(path.name + ".1")
        self._size_limit = size_limit
        self._waiting: deque[str] = deque(maxlen=WAITING_LIMIT)
        self._writing = threading.Lock()
        self._scheduled = False

    def note(self, answered: Answered) -> None:
        """Returns at once; the oldest waiting line is dropped when too many wait."""
        self._waiting.append(answered.line())
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().run_in_executor(None, self._write_waiting)

    async def lines(self, *, older: bool) -> list[str]:
        """Oldest first: of the file being written, or of the one before it."""
        return await asyncio.to_thread(self._read, older)

    def _read(self, older: bool) -> list[str]:
        self._write_waiting()
        try:
            return (self._older if older else self._path).read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def _write_waiting(self) -> None:
        with self._writing:
            self._scheduled = False
            lines = []
            while self._waiting:
                lines.append(self._waiting.popleft() + "\n")
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
