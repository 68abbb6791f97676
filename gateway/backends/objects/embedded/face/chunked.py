"""The aws-chunked encoding: bodies in chunks, each signed with the one before, and trailing headers.

A decoder without I/O: bytes in, bytes out. It gives a chunk's bytes before it has seen all that its signature
is for, so what it gave is good only once `finish` has returned. Source: AWS, "Signature calculations for the
Authorization header: transferring payload in multiple chunks", and "Checking object integrity", on trailing
checksums.
"""

import hashlib
import hmac
import re
from enum import Enum

from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.sigv4 import ALGORITHM, EMPTY_SHA256, Signing

LINE_LIMIT_BYTES = 1024
TRAILERS_LIMIT = 16

_HEAD = re.compile(rb"([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?")


class Chain:
    """The chain of signatures that begins with the request's own."""

    def __init__(self, signing: Signing, seed: str) -> None:
        self._signing = signing
        self._last = seed

    def require_chunk(self, sha256: str, signature: str) -> None:
        """Raises S3Error."""
        self._require(signature, f"{ALGORITHM}-PAYLOAD", EMPTY_SHA256, sha256)

    def require_trailer(self, sha256: str, signature: str) -> None:
        """Raises S3Error."""
        self._require(signature, f"{ALGORITHM}-TRAILER", sha256)

    def _require(self, signature: str, kind: str, *lines: str) -> None:
        expected = self._signing.sign(kind, self._last, *lines)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise S3Error("SignatureDoesNotMatch", "a chunk's signature is not right")
        self._last = expected


class _At(Enum):
    HEAD = "the line before a chunk: its size and signature"
    DATA = "a chunk's bytes"
    BREAK = "the line break after them"
    TRAILER = "the lines after the last chunk, up to an empty one"
    END = "nothing may follow"


class ChunkDecoder:
    """With a `chain` every chunk must be signed;
    `trailed` bodies may end in trailers, which `trailers` has by name."""

    def __init__(self, *, chain: Chain | None, trailed: bool) -> None:
        self.trailers: dict[str, str] = {}
        self._chain = chain
        self._trailed = trailed
        self._at = _At.HEAD
        self._line = bytearray()
        self._left = 0
        self._signature = ""
        self._sha256 = hashlib.sha256()

    def feed(self, data: bytes) -> list[bytes]:
        """The payload in it. Raises S3Error."""
        given: list[bytes] = []
        rest = memoryview(data)
        while rest:
            if self._at is _At.DATA:
                piece, rest = bytes(rest[: self._left]), rest[self._left :]
                self._take(piece)
                given.append(piece)
            else:
                rest = self._gather_line(rest)
        return given

    def finish(self) -> None:
        """The body has ended. Raises S3Error unless it was whole, and all of it signed where it has to be.

        The last empty line may be missing: some clients leave it out when there are no trailers.
        """
        if self._at is _At.TRAILER and not self._trailed and not self._line:
            self._at = _At.END
        if self._at is not _At.END:
            raise S3Error("IncompleteBody", "the body ends in the middle")
        if self._line:
            raise S3Error("InvalidRequest", "the chunked body goes on behind its end")

    def _take(self, piece: bytes) -> None:
        if self._chain:
            self._sha256.update(piece)
        self._left -= len(piece)
        if not self._left:
            self._at = _At.BREAK

    def _gather_line(self, rest: memoryview) -> memoryview:
        """Take bytes up to the end of the line, and read it when that has come."""
        text, found, _ = bytes(rest[: LINE_LIMIT_BYTES + 1]).partition(b"\n")
        self._line += text
        if len(self._line) > LINE_LIMIT_BYTES:
            raise S3Error("InvalidRequest", "a line of the chunked body is too long")
        if found:
            line = bytes(self._line).removesuffix(b"\r")
            self._line.clear()
            self._read_line(line)
        return rest[len(text) + len(found) :]

    def _read_line(self, line: bytes) -> None:
        if self._at is _At.HEAD:
            self._begin_chunk(line)
        elif self._at is _At.BREAK and not line:
            self._end_chunk()
        elif self._at is _At.TRAILER and line:
            self._read_trailer(line)
        elif self._at is _At.TRAILER:
            self._end_body()
        else:
            raise S3Error("InvalidRequest", "the chunked body has bytes where none may be")

    def _begin_chunk(self, line: bytes) -> None:
        head = _HEAD.fullmatch(line)
        if not head or bool(head[2]) != bool(self._chain):
            raise S3Error("InvalidRequest", "a chunk of the body begins with another line than announced")
        self._left = int(head[1], 16)
        self._signature = (head[2] or b"").decode()
        self._sha256 = hashlib.sha256()
        self._at = _At.DATA if self._left else _At.TRAILER
        if not self._left:
            self._require_signature()

    def _end_chunk(self) -> None:
        self._require_signature()
        self._at = _At.HEAD

    def _require_signature(self) -> None:
        if self._chain:
            self._chain.require_chunk(self._sha256.hexdigest(), self._signature)

    def _read_trailer(self, line: bytes) -> None:
        name, _, value = line.decode("latin-1").partition(":")
        if not self._trailed or len(self.trailers) >= TRAILERS_LIMIT:
            raise S3Error("InvalidRequest", "trailers that were not announced, or too many")
        self.trailers[name.strip().lower()] = value.strip()

    def _end_body(self) -> None:
        if self._chain and self._trailed:
            signature = self.trailers.pop("x-amz-trailer-signature", "")
            canonical = "".join(f"{name}:{value}\n" for name, value in sorted(self.trailers.items()))
            self._chain.require_trailer(hashlib.sha256(canonical.encode("latin-1")).hexdigest(), signature)
        self._at = _At.END
