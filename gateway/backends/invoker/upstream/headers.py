"""Headers on their way through: which are the connection's own (RFC 9110, 7.6.1), and the bytes of a
request's head."""

from collections.abc import Iterable

from gateway.backends.invoker.upstream.message import Origin, RequestHead
from gateway.domain.headers import Headers
from gateway.domain.problems import Invalid

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Besides those that a `Connection` header names."""

NOT_PASSED_BACK = HOP_BY_HOP | {b"date"}
"""Of an answer. Its date is ours to tell."""

WRITTEN_ANEW = HOP_BY_HOP | {b"content-length", b"expect"}
"""Of a request. Its length is what is sent; who asked to be told to continue has been told by our server."""

DEFAULT_PORT = 80


def end_to_end(headers: Headers, dropped: frozenset[bytes] = HOP_BY_HOP) -> Headers:
    """Those that are for the other end."""
    kept = [header for header in headers if header[0] not in dropped]
    if len(kept) < len(headers) and (named := _named_by_connection(headers)):
        return [header for header in kept if header[0] not in named]
    return kept


def head_bytes(origin: Origin, head: RequestHead, *, length: int | None) -> bytes:
    """The request's head; `length` is of its body in bytes, None to send it in chunks.

    Raises Invalid for a line break in any part of it, which would begin another header or request.
    """
    lines = [b": ".join(header) for header in head.own]
    if length is None:
        lines.append(b"transfer-encoding: chunked")
    elif length or head.method not in (b"GET", b"HEAD"):
        lines.append(b"content-length: %d" % length)
    own = _joined(lines)
    if head.kept is None:
        return b"%b%b\r\n" % (_shared_bytes(origin, head), own)
    shared = head.kept.get("head")
    if shared is None:
        shared = head.kept["head"] = _shared_bytes(origin, head)
    return b"%b%b\r\n" % (shared, own)


def _shared_bytes(origin: Origin, head: RequestHead) -> bytes:
    """All but `own`, the length, and the empty line."""
    lines = [b"%b %b HTTP/1.1" % (head.method, head.target)]
    has_host = False
    for header in end_to_end(head.headers, WRITTEN_ANEW):
        lines.append(b": ".join(header))
        has_host = has_host or header[0] == b"host"
    if not has_host:
        lines.append(b"host: " + _authority(origin))
    return _joined(lines)


def _joined(lines: list[bytes]) -> bytes:
    """Each with its end. Raises Invalid for a line break within one."""
    lines.append(b"")
    written = b"\r\n".join(lines)
    ends = len(lines) - 1
    if written.count(b"\n") != ends or written.count(b"\r") != ends:
        raise Invalid("a header holds a line break")
    return written


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Of a body that is streamed. Raises Invalid."""
    lengths = {value for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    value = lengths.pop()
    if lengths or not value.isdigit() or len(value) > 19:
        raise Invalid("Content-Length is not a number", field="Content-Length")
    return int(value)


def _authority(origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return (host if origin.port == DEFAULT_PORT else f"{host}:{origin.port}").encode("latin-1", "replace")


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    for name, _ in headers:
        if name == b"connection":
            values = b",".join(value for name, value in headers if name == b"connection")
            return frozenset(token.strip().lower() for token in values.split(b","))
    return frozenset()
