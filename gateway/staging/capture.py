"""Capture: what a script prints, kept in its workspace within bounds: standard output as it is, both streams
as the log.

It never raises and never stops the script: beyond a bound, or on a full disk, it goes on taking and keeps
nothing more, and says so. Used by the runner too, so it imports next to nothing.
"""
# Importing pathlib would double the runner's start-up.
# ruff: noqa: PTH118

import contextlib
import os

from gateway.staging import layout
from gateway.staging.log import Entries, cut_note, entry


class Capture:
    def __init__(self, workspace: str, *, stdout_limit: int, log_limit: int) -> None:
        """Limits in bytes. Files of an earlier capture are replaced. Raises OSError."""
        self._workspace = workspace
        self._log_limit = log_limit
        self._stdout = Kept(os.path.join(workspace, layout.STDOUT), stdout_limit)
        self._log = Kept(os.path.join(workspace, layout.LOG), log_limit)
        self._entries = {stream: Entries(stream) for stream in ("stdout", "stderr")}

    @property
    def trouble(self) -> str:
        """Why something is missing although it was within its bounds, or ""."""
        return self._stdout.trouble or self._log.trouble

    def take(self, stream: str, data: bytes, at: bytes) -> None:
        """`stream` is `stdout` or `stderr`, `at` as `log.stamp` makes it."""
        if stream == "stdout" and not self._stdout.full:
            self._stdout.write(data)
            if self._stdout.full:
                self._mark_cut()
        if not self._log.full:
            self._write_log(self._entries[stream].take(data, at), at)

    def end(self, at: bytes) -> None:
        for entries in self._entries.values():
            if not self._log.full:
                self._write_log(entries.end(at), at)
        self._stdout.close()
        self._log.close()

    def _write_log(self, entries: bytes, at: bytes) -> None:
        space = self._log.space
        if len(entries) <= space:
            self._log.write(entries)
            return
        self._log.write(entries[: entries.rfind(b"\n", 0, space) + 1])
        self._log.add_last(entry(at, "stderr", cut_note(self._log_limit)))

    def _mark_cut(self) -> None:
        with contextlib.suppress(OSError):
            os.close(
                os.open(os.path.join(self._workspace, layout.STDOUT_CUT), os.O_CREAT | os.O_WRONLY, 0o600)
            )


class Kept:
    """A file that takes so many bytes. Not buffered: what was taken is there for readers, and after a
    kill."""

    def __init__(self, path: str, limit_bytes: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.space = limit_bytes
        self.full = False
        self.trouble = ""

    def write(self, data: bytes) -> None:
        kept = data[: self.space]
        self.full = self.full or len(data) > self.space
        self.space -= len(kept)
        self._write(kept)

    def add_last(self, data: bytes) -> None:
        """Beyond the limit, so that the reader learns of it."""
        self.full = True
        self._write(data)

    def close(self) -> None:
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        try:
            while data and not self.trouble:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.full = True
