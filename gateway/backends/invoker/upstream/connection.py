"""A connection to a backend: bytes out with back-pressure, bytes in to the answer that waits for them."""

import asyncio
from collections.abc import Callable
from typing import cast

from gateway.backends.invoker.upstream.answer import Answer, Seen
from gateway.backends.invoker.upstream.message import Origin


class Connection:
    """Serves one request at a time; whose turn it is, the pool knows.

    An asyncio.Protocol, but not by descent, for the sake of its compiled form.
    """

    def __init__(self, origin: Origin, lost: Callable[["Connection"], None]) -> None:
        """`lost` is called once, when it is closed, whoever closed it."""
        self.origin = origin
        self.closed = False
        self.idle_since = 0.0
        self._lost = lost
        self._transport: asyncio.Transport
        self._answer: Answer | None = None
        self._seen: Seen | None = None
        self._writable: asyncio.Future[None] | None = None

    def ask(self, head: bytes, *, to_head: bool) -> Answer:
        """Begin a request; its body is to follow by `write`."""
        self._answer = answer = Answer(self._transport, to_head=to_head)
        self._transport.write(head)
        return answer

    def write(self, piece: bytes) -> None:
        self._transport.write(piece)

    def write_chunk(self, piece: bytes) -> None:
        """In chunked coding (RFC 9112, 7.1)."""
        self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))

    async def drain(self) -> None:
        """Returns when the backend took enough to be sent more, or when it is closed."""
        if self._writable is not None:
            await self._writable

    def rest(self, now: float) -> None:
        """Between two requests."""
        if self._answer is not None:
            self._answer.release()
        self._answer = None
        self.idle_since = now

    def abort(self) -> None:
        """Close at once; what was not sent is dropped."""
        self.closed = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio hands over the base class of what it promises to stream protocols.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            # Nobody asked, so nobody may take it for an answer.
            self.abort()
            return
        if self._seen is not None and answer.repeat(self._seen, data):
            return
        answer.feed(data)
        if answer.complete:
            self._seen = answer.seen(data)
        if answer.failure is not None:
            self.abort()

    def eof_received(self) -> None:
        # Half-closed: it may not be used again, even before the transport has closed itself.
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None:
            self._answer.closed(orderly=exc is None)
        self.resume_writing()
        self._lost(self)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
