"""Messages: what is asked of whom, and what is answered. Header names are lower case."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.domain.body import Body
from gateway.domain.headers import Headers


class Origin(NamedTuple):
    """Who is asked. The `Host` header is this unless the request brings its own."""

    host: str
    port: int


class RequestHead(NamedTuple):
    """`target` is path and query as they stand on the wire. Headers of the connection they came by may be
    among them: they are not passed on. `own` are those that stand in this request alone, none of them the
    connection's; in `kept`, which comes with every head that is the same but for these and its body's length,
    whoever writes it leaves its bytes."""

    method: bytes
    target: bytes
    headers: Headers
    own: Sequence[tuple[bytes, bytes]] = ()
    kept: dict[str, bytes] | None = None


class Response(NamedTuple):
    """Headers without those of the connection. `body` is bytes if all of it came with the head; a stream that
    ends without an exception was whole."""

    status: int
    headers: Headers
    body: Body
