"""Checks: what a body was said to be (digests, checksums, length), against what came."""

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.datastructures import Headers

from gateway.backends.objects.embedded.face.errors import S3Error

CHECKSUM_PREFIX = "x-amz-checksum-"


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


# crc32c, crc64nvme and whatever comes after them are taken unverified: the standard library has none of them.
_DIGESTS: Mapping[str, Callable[[], Digest]] = {
    "x-amz-checksum-crc32": _Crc32,
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "x-amz-checksum-sha256": hashlib.sha256,
}


class Checks:
    """Fed with a body's payload, tells at its end whether it is what its headers and trailers say."""

    def __init__(self, headers: Headers) -> None:
        """Raises S3Error for what cannot be the value of a checksum."""
        self._digests: dict[str, Digest] = {}
        self._expected: dict[str, bytes] = {}
        self._length = _length(headers)
        self._size_bytes = 0
        announced = headers.get("x-amz-trailer", "").lower().replace(" ", "").split(",")
        for name in {*announced, *headers.keys()} & _DIGESTS.keys():
            self._digests[name] = _DIGESTS[name]()
            if name in headers:
                self._expected[name] = _value(name, headers[name])
        if "content-md5" in headers:
            self._digests["content-md5"] = hashlib.md5(usedforsecurity=False)
            self._expected["content-md5"] = _value("content-md5", headers["content-md5"])

    def expect_sha256(self, hexadecimal: str) -> None:
        """The payload's digest as it was signed."""
        self._digests["x-amz-content-sha256"] = hashlib.sha256()
        self._expected["x-amz-content-sha256"] = bytes.fromhex(hexadecimal)

    def update(self, data: bytes) -> None:
        self._size_bytes += len(data)
        for digest in self._digests.values():
            digest.update(data)

    def require(self, trailers: Mapping[str, str]) -> None:
        """The body has ended. Raises S3Error."""
        if self._length is not None and self._size_bytes != self._length:
            raise S3Error(
                "IncompleteBody", "the body has another length than x-amz-decoded-content-length says"
            )
        for name, digest in self._digests.items():
            expected = self._expected.get(name) or _value(name, trailers.get(name, ""))
            if not hmac.compare_digest(expected, digest.digest()):
                code = "XAmzContentSHA256Mismatch" if name == "x-amz-content-sha256" else "BadDigest"
                raise S3Error(code, f"the body is not what {name} says")


def _length(headers: Headers) -> int | None:
    text = headers.get("x-amz-decoded-content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise S3Error("InvalidArgument", "x-amz-decoded-content-length is not a length")
    return int(text)


def _value(name: str, text: str) -> bytes:
    """A Base64 value. Empty ones are refused: a check that was announced must come."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if not value:
        raise S3Error(
            "InvalidDigest" if name == "content-md5" else "InvalidRequest", f"{name} is not a digest"
        )
    return value
