"""A body is cut so that every store takes the parts, and their number is enough for the largest object."""

import hashlib

from gateway.domain.parted import LARGEST_BYTES, PARTS_LIMIT, part_bytes, parted_etag


def test_every_part_has_a_size_that_stores_take() -> None:
    sizes = [part_bytes(number) for number in range(1, PARTS_LIMIT + 1)]
    assert sizes == sorted(sizes)
    assert 5 << 20 <= sizes[0] < sizes[-1] <= 5 << 30


def test_the_parts_hold_the_largest_object() -> None:
    assert sum(map(part_bytes, range(1, PARTS_LIMIT + 1))) > LARGEST_BYTES


def test_the_etag_is_the_digest_of_the_digests_and_their_number() -> None:
    digests = [hashlib.md5(part).digest() for part in (b"a", b"b")]
    assert parted_etag(digests) == f"{hashlib.md5(b''.join(digests)).hexdigest()}-2"
