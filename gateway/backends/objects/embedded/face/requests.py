"""A request as S3 sees it: path style, with bucket, key and query decoded.

Bounds and decoding, nothing else.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.types import Receive, Scope

from gateway.backends.objects.embedded.face.errors import S3Error

PATH_LIMIT_BYTES = 4096
"""A key of 1,024 bytes, each percent-encoded, and a bucket."""
QUERY_LIMIT_BYTES = 16 << 10
HEADERS_LIMIT_BYTES = 32 << 10


@dataclass(frozen=True, slots=True)
class S3Request:
    """`key` is empty for a bucket, `bucket` too for the service. `held` is left when the answer is sent."""

    id: str
    method: str
    path: str
    bucket: str
    key: str
    pairs: tuple[tuple[str, str], ...]
    query: Mapping[str, str]
    http: Request
    held: AsyncExitStack

    def header(self, name: str, default: str = "") -> str:
        return self.http.headers.get(name, default)

    def whole_number(self, name: str, *, default: int, least: int = 0, most: int) -> int:
        """A number of the query; more than `most` counts as `most`. Raises S3Error."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < least:
            raise S3Error("InvalidArgument", f"{name} must be a whole number from {least}")
        return min(int(text), most)


def read_request(scope: Scope, receive: Receive, held: AsyncExitStack, *, request_id: str) -> S3Request:
    """Raises S3Error for what is too long or cannot be decoded."""
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    raw_query: bytes = scope["query_string"]
    _require_bounds(raw_path, raw_query, scope["headers"])
    path = _decoded(raw_path)
    bucket, _, key = path[1:].partition("/")
    pairs = tuple(_pair(raw) for raw in raw_query.split(b"&") if raw)
    return S3Request(
        id=request_id,
        method=scope["method"],
        path=path,
        bucket=bucket,
        key=key,
        pairs=pairs,
        query=dict(reversed(pairs)),
        http=Request(scope, receive),
        held=held,
    )


def _require_bounds(path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    if len(path) > PATH_LIMIT_BYTES:
        raise S3Error("KeyTooLongError", "the path is too long")
    if len(query) > QUERY_LIMIT_BYTES:
        raise S3Error("InvalidURI", "the query is too long")
    if sum(len(name) + len(value) for name, value in headers) > HEADERS_LIMIT_BYTES:
        raise S3Error("RequestHeaderSectionTooLarge", "the headers are too long")


def _pair(raw: bytes) -> tuple[str, str]:
    name, _, value = raw.replace(b"+", b" ").partition(b"=")
    return _decoded(name), _decoded(value)


def _decoded(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", "path and query must be percent-encoded UTF-8") from None
