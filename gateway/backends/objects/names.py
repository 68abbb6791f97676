"""Names of buckets and keys: what may be one."""

import re

from gateway.backends.objects.refusals import BucketNameInvalid, KeyInvalid

KEY_LIMIT_BYTES = 1024

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_RESERVED = re.compile(r"xn--.*|sthree-.*|.*-s3alias|.*--ol-s3")


def require_bucket_name(name: str) -> None:
    """S3's rules for general purpose buckets. Raises BucketNameInvalid."""
    if not _BUCKET.fullmatch(name) or _ADDRESS.fullmatch(name) or _RESERVED.fullmatch(name):
        raise BucketNameInvalid


def key_bytes(key: str) -> bytes:
    """The key as the index orders it. Raises KeyInvalid."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raise KeyInvalid from None
    if not 1 <= len(raw) <= KEY_LIMIT_BYTES or b"\0" in raw:
        raise KeyInvalid
    return raw
