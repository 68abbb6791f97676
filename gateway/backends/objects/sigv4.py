"""AWS Signature Version 4: the pieces that signing and verifying share. Pure; no clock, no request object.

Source: AWS, "Signature Version 4 signing process" and "Authenticating requests in Amazon S3". Paths are
encoded once and never normalised, as S3 alone does.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256().hexdigest()
TIME_FORMAT = "%Y%m%dT%H%M%SZ"

# Not every white space: in Latin-1 bytes of UTF-8 text look like some.
_BLANKS = re.compile(" +")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signing key is good for: one day (`20260131`), one region, S3."""

    date: str
    region: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/s3/aws4_request"


@dataclass(frozen=True, slots=True)
class Signing:
    """A key at work: signs what belongs to one request."""

    key: bytes = field(repr=False)
    scope: Scope
    time: str

    def sign(self, kind: str, *lines: str) -> str:
        """The signature, in hex, of a string to sign of this kind (`ALGORITHM`,
        or with `-PAYLOAD`, `-TRAILER`)."""
        text = "\n".join([kind, self.time, str(self.scope), *lines])
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


def signing(secret_key: str, *, region: str, time: str) -> Signing:
    """`time` in `TIME_FORMAT`."""
    scope = Scope(time[:8], region)
    key = f"AWS4{secret_key}".encode()
    for part in (scope.date, scope.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return Signing(key, scope, time)


def signed_time(moment: datetime) -> str:
    """`moment` must be UTC."""
    return moment.strftime(TIME_FORMAT)


def request_digest(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Iterable[tuple[str, str]],
    payload: str,
) -> str:
    """SHA-256, in hex, of the canonical request.

    `path` is decoded; `headers` are lower-case, one entry a name.
    """
    headers = sorted(headers)
    lines = [
        method,
        encoded(path, safe="/"),
        "&".join(f"{name}={value}" for name, value in sorted((encoded(n), encoded(v)) for n, v in query)),
        *(f"{name}:{_BLANKS.sub(' ', value.strip(' '))}" for name, value in headers),
        "",
        ";".join(name for name, _ in headers),
        payload,
    ]
    # Header bytes arrive as Latin-1 and are hashed as they came; path and query are ASCII by now.
    return hashlib.sha256("\n".join(lines).encode("latin-1")).hexdigest()


def encoded(text: str | bytes, *, safe: str = "") -> str:
    """Percent-encoded as the specification has it: all but letters, digits and `-._~`."""
    return quote(text, safe=safe + "~")
