"""The eTag a file has as an object: by it a store tells what it holds, without being read."""

import hashlib
from collections.abc import Iterator
from io import BufferedReader
from itertools import count

from gateway.domain.parted import part_bytes, parted_etag
from gateway.staging.chunks import CHUNK


def file_etag(file: BufferedReader, *, like: str) -> str:
    """In the form of `like`: of the whole, or of parts as we cut them. Blocking; reads to the file's end.
    Raises OSError."""
    if "-" in like:
        return parted_etag(_digests(file))
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _digests(file: BufferedReader) -> Iterator[bytes]:
    """Of each part, at least one."""
    chunk = file.read(CHUNK)
    for number in count(1):
        digest, left = hashlib.md5(usedforsecurity=False), part_bytes(number)
        while chunk and left:
            digest.update(chunk[:left])
            chunk, left = chunk[left:] or file.read(CHUNK), left - len(chunk[:left])
        yield digest.digest()
        if not chunk:
            return
