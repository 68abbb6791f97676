"""A head seen before: on a connection that is kept, clients mostly send the same head again. Then it is not
read again, and neither is what others made of it."""

import hmac
from typing import Any

from starlette.types import Scope

SEEN = "oscar_gateway.seen"
"""Where in the scope there is a dict that comes with every request of the same head: for what depends on
nothing else. Only with requests that were here whole."""


class Seen:
    """The head of a request whose body, of a declared length, came with it."""

    __slots__ = ("_head", "_size", "length", "scope")

    def __init__(self, head: bytes, size: int, scope: Scope) -> None:
        """`size` is of head and body together, bytes."""
        self.scope: dict[str, Any] = {**scope}
        self.length = len(head)
        self._head = head
        self._size = size

    def repeats(self, data: bytes) -> bool:
        """Whether these bytes are such a request, and nothing else. In constant time: connections of proxies
        bring the credentials of several."""
        return len(data) == self._size and hmac.compare_digest(data[: self.length], self._head)


def see(data: bytes, scope: Scope) -> Seen | None:
    """The head of the request that these bytes were; None if its body's length is not declared there."""
    end = data.find(b"\r\n\r\n") + 4
    if (b"content-length", b"%d" % (len(data) - end)) not in scope["headers"]:
        return None
    scope[SEEN] = {}
    return Seen(data[:end], len(data), scope)
