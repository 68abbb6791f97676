"""The eTag of a file is what a store says of the same bytes, whole or in our parts."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.parted import part_bytes, parted_etag
from gateway.staging.chunks import CHUNK, read_file
from gateway.staging.etag import file_etag
from workers.pod.laying import Laying, Piece

FIRST = part_bytes(1)
SIZES = [0, 1, CHUNK, FIRST - 1, FIRST, FIRST + 1, 2 * FIRST]


async def pieces(path: Path) -> AsyncIterator[Piece]:
    laying, number, last = Laying(read_file(path), path.parent), 0, False
    while not last:
        number += 1
        piece = await laying.piece(part_bytes(number))
        last = piece.last
        yield piece


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_parts_are_cut_and_told_alike(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content := bytes(range(251)) * (size_bytes // 251 + 1))
    with path.open("ab") as file:
        file.truncate(size_bytes)
    cut = []
    async for piece in pieces(path):
        with piece.file:
            cut.append(piece.file.read())
        assert len(cut[-1]) == piece.size_bytes
    assert b"".join(cut) == content[:size_bytes]
    assert [len(part) for part in cut[:-1]] == [FIRST] * (len(cut) - 1)
    with path.open("rb") as file:
        told = file_etag(file, like="d-7")
    assert told == parted_etag(hashlib.md5(part).digest() for part in cut)
    with path.open("rb") as file:
        assert file_etag(file, like="d") == hashlib.md5(content[:size_bytes]).hexdigest()
