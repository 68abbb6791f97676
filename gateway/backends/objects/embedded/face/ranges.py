"""Ranges: which bytes of an object a GET wants (RFC 9110, section 14).

One range at most: several count as none, as in S3.
"""

import re

from gateway.backends.objects.embedded.face.errors import S3Error

_BYTES = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


def parse_range(text: str, *, size_bytes: int) -> tuple[int, int] | None:
    """Start, and end not included; None when the whole object is wanted. Raises S3Error InvalidRange."""
    found = _BYTES.fullmatch(text.replace(" ", ""))
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(size_bytes - int(found[2]), 0), size_bytes
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size_bytes) if found[2] else size_bytes
        if found[2] and int(found[2]) < start:
            return None
    if start >= end:
        raise S3Error("InvalidRange", "no byte of the object is in the range")
    return start, end
