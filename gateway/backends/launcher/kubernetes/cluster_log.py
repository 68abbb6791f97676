"""A container's log as the cluster has it, brought into the archive's form (`staging.log`).

The API tells a line's time, not its stream, so all of it counts as standard output; and what the node has
rotated away is gone.
"""

from collections.abc import AsyncIterator

from gateway.staging.log import LINE_LIMIT, cut_note, entry

EPOCH = b"1970-01-01T00:00:00Z"


async def archived(pieces: AsyncIterator[bytes], *, limit_bytes: int) -> AsyncIterator[bytes]:
    """Pieces of `<time> <text>` lines as entries, as they come; about `limit_bytes` of them, the rest told as
    cut."""
    lines = _Lines()
    size = 0
    async for piece in pieces:
        entries = lines.take(piece)
        if size + len(entries) > limit_bytes:
            whole = entries[: entries.rfind(b"\n", 0, max(0, limit_bytes - size)) + 1]
            yield whole + entry(lines.at, "stderr", cut_note(limit_bytes))
            return
        size += len(entries)
        if entries:
            yield entries
    last = lines.end()
    if last:
        yield last


class _Lines:
    """Bytes to entries; a line that is too long is written in pieces."""

    def __init__(self) -> None:
        self.at = EPOCH
        self._rest = b""
        self._goes_on = False

    def take(self, piece: bytes) -> bytes:
        *lines, rest = (self._rest + piece).split(b"\n")
        done = [self._entry(line, whole=True) for line in lines]
        if len(rest) >= LINE_LIMIT:
            done.append(self._entry(rest, whole=False))
            rest = b""
        self._rest = rest
        return b"".join(done)

    def end(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self._entry(rest, whole=True) if rest or self._goes_on else b""

    def _entry(self, line: bytes, *, whole: bool) -> bytes:
        if not self._goes_on:
            self.at, _, line = line.partition(b" ")
        self._goes_on = not whole
        return entry(self.at, "stdout", line, whole=whole)
