"""Bytes between files and chunks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.problems import StorageFull, Unavailable
from gateway.staging.chunks import CHUNK, read_file, write_file


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_what_is_written_is_what_is_read_in_chunks_of_one_size(tmp_path: Path) -> None:
    parts = [bytes([number]) * 70_000 for number in range(9)]
    await write_file(tmp_path / "file", chunks(*parts))
    read = [chunk async for chunk in read_file(tmp_path / "file")]
    assert b"".join(read) == b"".join(parts)
    assert {len(chunk) for chunk in read[:-1]} == {CHUNK}


async def test_no_chunks_are_an_empty_file(tmp_path: Path) -> None:
    await write_file(tmp_path / "file", chunks())
    assert (tmp_path / "file").read_bytes() == b""


async def test_a_full_disk_is_storage_full_and_a_missing_file_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        await write_file(Path("/dev/full"), chunks(b"x"))
    with pytest.raises(Unavailable):
        await anext(aiter(read_file(tmp_path / "nothing")))
