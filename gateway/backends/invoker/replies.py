"""Replies: what every way of answering a call says in the same words."""

from gateway.backends.invoker.protocol import Reply
from gateway.domain.headers import Headers
from gateway.domain.job import ResultKind

TEXT = b"text/plain; charset=utf-8"
BYTES = b"application/octet-stream"


def answer_headers(kind: ResultKind, size_bytes: int, *, raw: bool = False) -> Headers:
    """Of an answer of that kind and length as it is sent; `raw` bytes are no text."""
    binary = raw and kind is not ResultKind.TEXT
    return [(b"content-type", BYTES if binary else TEXT), (b"content-length", b"%d" % size_bytes)]


def failed(line: str) -> Reply:
    """A script that failed without a word of its own."""
    body = f"{line}\n".encode()
    return Reply(500, answer_headers(ResultKind.TEXT, len(body)), body)
