"""The upstream: exchanges with any origin over one pool of connections."""

from typing import Self

from gateway.backends.invoker.upstream.exchange import Exchange
from gateway.backends.invoker.upstream.message import Origin, RequestHead
from gateway.backends.invoker.upstream.pool import Pool
from gateway.domain.body import Body


class Upstream:
    """An async context manager: leaving it closes every connection."""

    def __init__(self, *, connect_timeout_s: float, idle_timeout_s: float, per_origin_limit: int) -> None:
        """The connect timeout bounds the wait for a place among an origin's connections, and again that for
        the connection. One that nobody used for the idle timeout is closed, half as late again at most."""
        self._pool = Pool(
            connect_timeout_s=connect_timeout_s,
            idle_timeout_s=idle_timeout_s,
            per_origin_limit=per_origin_limit,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def reach(self, origin: Origin) -> None:
        """Raises Unavailable if no connection can be had."""
        self._pool.give_back(await self._pool.borrow(origin), reusable=True)

    def idle_connections(self) -> int:
        """Open, and nobody's at the moment."""
        return self._pool.idle()

    def exchange(self, origin: Origin, head: RequestHead, body: Body) -> Exchange:
        """Ask and be answered, once: an async context manager of a Response. A streamed body goes with the
        `content-length` among the headers, else in chunks; answers may come before it is through. Leaving
        early closes the connection.

        It waits for the answer as long as it is let: `Exchange.abandon` ends it from outside. Raises
        Unavailable if nothing was sent, so that nothing can have been executed; Unanswered, also from the
        answer's body, if the backend took the request and the answer did not come whole; Invalid for headers
        that cannot be sent; and what the body raises.
        """
        return Exchange(self._pool, origin, head, body)
