"""Replies: what every way of answering a call says in the same words."""

from collections.abc import AsyncIterator

from gateway.backends.invoker.protocol import Reply
from gateway.domain.job import ResultKind

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


def answer_headers(kind: ResultKind, size_bytes: int, *, raw: bool = False) -> dict[str, str]:
    """Of an answer of that kind and length as it is sent; `raw` bytes are no text."""
    binary = raw and kind is not ResultKind.TEXT
    return {"content-type": BYTES if binary else TEXT, "content-length": str(size_bytes)}


def failed(line: str) -> Reply:
    """A script that failed without a word of its own."""
    body = f"{line}\n".encode()
    return Reply(500, answer_headers(ResultKind.TEXT, len(body)), _once(body))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
