"""A container's log, from the API's form to the archive's."""

from collections.abc import AsyncIterator

import pytest

from gateway.backends.launcher.kubernetes.cluster_log import archived
from gateway.staging.log import LINE_LIMIT, render

AT = b"2026-11-24T03:00:00.123456789Z"


async def entries(raw: bytes, *, piece: int, limit_bytes: int = 1 << 20) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), piece):
            yield raw[start : start + piece]

    return b"".join([chunk async for chunk in archived(pieces(), limit_bytes=limit_bytes)])


async def rendered(archive: bytes) -> bytes:
    async def once() -> AsyncIterator[bytes]:
        yield archive

    return b"".join([chunk async for chunk in render(once(), timestamps=False)])


@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_lines_keep_their_time_and_text_however_they_come(piece: int) -> None:
    raw = AT + b" one\n" + AT + b" \n" + AT + b"  three \xff\n" + AT + b" no newline"
    found = await entries(raw, piece=piece)
    assert found.splitlines()[0] == AT + b" stdout F one"
    assert await rendered(found) == b"one\n\n three \xff\nno newline\n"


async def test_a_long_line_is_written_in_pieces_and_read_as_one() -> None:
    text = b"x" * (3 * LINE_LIMIT)
    found = await entries(AT + b" " + text + b"\n" + AT + b" next\n", piece=1000)
    assert max(map(len, found.splitlines())) < 2 * LINE_LIMIT
    assert await rendered(found) == text + b"\nnext\n"


async def test_what_is_beyond_the_limit_is_told_as_cut() -> None:
    found = await entries((AT + b" line\n") * 100, piece=64, limit_bytes=500)
    assert found.count(b" stdout F line\n") == 500 // len(AT + b" stdout F line\n")
    assert b"LOG_LIMIT" in found.splitlines()[-1]


async def test_nothing_is_nothing() -> None:
    assert await entries(b"", piece=1) == b""
