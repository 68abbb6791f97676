"""The log: a run's output as lines `<time, RFC 3339 in UTC> stdout|stderr F|P <text>`, the form Kubernetes
keeps.

`F` ends a line, `P` is a piece of one that goes on. Written here, rendered here; where it is kept is others'
business. Used by the runner too, so it imports next to nothing.
"""

import time
from collections.abc import AsyncIterator
from typing import NamedTuple

LINE_LIMIT = 16 << 10
"""A line longer than this is written in pieces, bytes."""
ENTRY_LIMIT = 128 << 10
"""No entry of ours is longer; what is, came from elsewhere and is passed on as it is, bytes."""


def stamp(at_ns: int) -> bytes:
    """Nanoseconds since 1970 as `2026-11-24T03:00:00.000000000Z`."""
    seconds, nanoseconds = divmod(at_ns, 10**9)
    return b"%s.%09dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode(), nanoseconds)


def entry(at: bytes, stream: str, text: bytes, *, whole: bool = True) -> bytes:
    return b"%s %s %s %s\n" % (at, stream.encode(), b"F" if whole else b"P", text)


class Entries:
    """One stream's bytes cut into entries. Bytes that are not yet a line wait, up to `LINE_LIMIT`."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._rest = b""

    def take(self, data: bytes, at: bytes) -> bytes:
        """The entries that `data` completes."""
        lines, newline, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        done = b""
        if newline:
            # One replace for a whole block: scripts that print much print many short lines.
            head = entry(at, self._stream, b"")[:-1]
            done = head + lines.replace(b"\n", b"\n" + head) + b"\n"
        if len(rest) >= LINE_LIMIT:
            done += entry(at, self._stream, rest, whole=False)
            self._rest = b""
        return done

    def end(self, at: bytes) -> bytes:
        """The entry of an unfinished last line."""
        rest, self._rest = self._rest, b""
        return entry(at, self._stream, rest) if rest else b""


class Entry(NamedTuple):
    at: bytes
    stream: str
    text: bytes
    whole: bool


def read_entry(line: bytes) -> Entry | None:
    """An entry without its newline; None for what is not in our form."""
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr") or parts[2] not in (b"F", b"P"):
        return None
    return Entry(parts[0], parts[1].decode(), parts[3], parts[2] == b"F")


def cut_note(limit_bytes: int) -> bytes:
    return b"[the log is cut here: it reached %d bytes, which is the limit (LOG_LIMIT)]" % limit_bytes


async def render(chunks: AsyncIterator[bytes], *, timestamps: bool) -> AsyncIterator[bytes]:
    """The log as people read it: each line's text, with its time in front if asked for. Never fails: what is
    not in our form comes out as it is."""
    rendering = _Rendering(timestamps=timestamps)
    rest = b""
    async for chunk in chunks:
        *entries, rest = (rest + chunk).split(b"\n")
        if len(rest) > ENTRY_LIMIT:
            entries, rest = [*entries, rest], b""
        if entries:
            yield b"".join(map(rendering.line, entries))
    tail = (rendering.line(rest) if rest else b"") + rendering.end()
    if tail:
        yield tail


class _Rendering:
    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._open = ""
        """The stream whose line is unfinished."""

    def line(self, raw: bytes) -> bytes:
        read = read_entry(raw)
        if read is None:
            return self.end() + raw + b"\n"
        goes_on = self._open == read.stream
        before = b"" if goes_on else self.end()
        if self._timestamps and not goes_on:
            before += read.at + b" "
        self._open = "" if read.whole else read.stream
        return before + read.text + (b"\n" if read.whole else b"")

    def end(self) -> bytes:
        unfinished, self._open = self._open, ""
        return b"\n" if unfinished else b""
