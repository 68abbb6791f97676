"""A head seen before: on a connection that is kept, clients and the proxies in front of them mostly send the
same headers again, in part with other values. Then those that mean something to us are not read again, and
neither is what others made of them."""

import hmac
import re
from typing import Any, NamedTuple

from starlette.types import Scope

from gateway.domain.headers import Headers

SEEN = "oscar_gateway.seen"
"""Where in the scope there is a dict that comes with every request of the same head: for what depends on
nothing else. Only with requests that were here whole."""
VARYING = "oscar_gateway.varying"
"""Beside it: those of the headers that may differ in a head that passes for the same one."""

LENGTH = b"content-length"
FIXED = frozenset(
    {b"host", b"authorization", b"proxy-authorization", b"prefer", b"idempotency-key", b"accept", b"origin"}
    | {b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"expect", b"transfer-encoding", b"upgrade"}
    | {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"te", b"trailer"}
)
"""What means something to the server or to who asks for `SEEN`: of another value, it is another head. Any
other header is passed on as it is, or read anew for each request."""

_PLAIN = re.compile(rb"[!-~](?:[ -~]{0,510}[!-~])?")
"""A value that can be told from its line alone."""


class Again(NamedTuple):
    """`length` is of the head, bytes."""

    scope: dict[str, Any]
    length: int


class _Place(NamedTuple):
    """Of a header whose value may differ: which one it is, and its line up to the value."""

    at: int
    name: bytes
    before: bytes


class Seen:
    """The head of a request whose body, of a declared length, came with it."""

    __slots__ = ("_fixed", "_head", "_lines", "_places", "_scope", "_size")

    def __init__(self, head: bytes, size: int, scope: Scope) -> None:
        """`size` is of head and body together, bytes."""
        lines = head[:-4].split(b"\r\n")
        self._head = head
        self._size = size
        self._lines = len(lines)
        self._places = _places(lines, scope["headers"])
        for place in self._places:
            lines[place.at + 1] = b""
        self._fixed = b"\r\n".join(lines)
        varying = [scope["headers"][place.at] for place in self._places if place.name != LENGTH]
        scope[SEEN], scope[VARYING] = {}, varying
        self._scope: dict[str, Any] = {**scope}

    def again(self, data: bytes) -> Again | None:
        """Whether these bytes are such a request, and nothing else. In constant time: connections of proxies
        bring the credentials of several."""
        length = len(self._head)
        if len(data) == self._size and hmac.compare_digest(data[:length], self._head):
            return Again({**self._scope}, length)
        return self._varied(data) if self._places else None

    def _varied(self, data: bytes) -> Again | None:
        end = data.find(b"\r\n\r\n")
        lines = data[:end].split(b"\r\n")
        if end < 0 or len(lines) != self._lines:
            return None
        headers: Headers = self._scope["headers"].copy()
        varying: Headers = []
        for at, name, before in self._places:
            line = lines[at + 1]
            value = line[len(before) :]
            if not (line.startswith(before) and _PLAIN.fullmatch(value)):
                return None
            headers[at] = header = (name, value)
            lines[at + 1] = b""
            if name != LENGTH:
                varying.append(header)
            elif value != b"%d" % (len(data) - end - 4):
                return None
        if not hmac.compare_digest(b"\r\n".join(lines), self._fixed):
            return None
        return Again({**self._scope, "headers": headers, VARYING: varying}, end + 4)


def see(data: bytes, scope: Scope) -> Seen | None:
    """The head of the request that these bytes were; None if its body's length is not declared there."""
    end = data.find(b"\r\n\r\n") + 4
    if (LENGTH, b"%d" % (len(data) - end)) not in scope["headers"]:
        return None
    return Seen(data[:end], len(data), scope)


def _places(lines: list[bytes], headers: Headers) -> list[_Place]:
    """None where a line is not just a header as it was read, or one of them may be the connection's own."""
    named = any(name == b"connection" and value.lower() != b"keep-alive" for name, value in headers)
    if named or len(lines) != len(headers) + 1:
        return []
    places = []
    for index, (name, value) in enumerate(headers):
        if name not in FIXED:
            line = lines[index + 1]
            before = line[: len(line) - len(value)]
            if before.lower().rstrip(b" ") != name + b":" or before + value != line:
                return []
            places.append(_Place(index, name, before))
    return places
