"""Parted: how a body that is too large for one request is cut into parts, and the eTag of an object made of
them. One cut wherever we upload, so that the eTag tells whether an object is a file's content. Not clients'
cuts, which may be any.
"""

import hashlib
from collections.abc import Iterable

MIB = 1 << 20
PARTS_LIMIT = 10_000
"""Of one object in any S3."""
LARGEST_BYTES = 5 << 40
"""Of one object in S3; our parts could hold half as much again."""
SAME_SIZED = 1000
"""Parts of one size, before the next ones have twice of it."""


def part_bytes(number: int) -> int:
    """Of the part with this number, from 1: 8 MiB, as most clients have it, up to 4 GiB; a store takes 5 MiB
    to 5 GiB."""
    return (8 << ((number - 1) // SAME_SIZED)) * MIB


def parted_etag(digests: Iterable[bytes]) -> str:
    """Of the parts' MD5 digests in their order: what every S3 makes of them."""
    listed = list(digests)
    return f"{hashlib.md5(b''.join(listed), usedforsecurity=False).hexdigest()}-{len(listed)}"
