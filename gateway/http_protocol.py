"""HTTP/1.1 as we serve it: uvicorn's protocol, with bounds on how long and how large a request's head may be,
and with word of a client's leaving to whoever works for it."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 64 << 10
"""Of a request's line and headers together, bytes."""
HEAD_S = 30.0
"""How long a client may take to the end of its headers, from connecting or from the head's first byte."""

DEPARTURE = "oscar_gateway.departure"
"""Where in the scope the Departure of its client stands."""

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Departure:
    """The moment a client goes away before it has its whole answer: `callback` is called, once."""

    __slots__ = ("callback", "happened")

    def __init__(self) -> None:
        self.callback: Callable[[], None] | None = None
        self.happened = False

    def happen(self) -> None:
        self.happened = True
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class HttpProtocol(HttpToolsProtocol):
    """What is overridden are asyncio's callbacks and the parser's, each calling the one it stands before."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._in_head = True
        self._head_size = 0
        self._head_due: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)
        cycles = [self.cycle, *(cycle for cycle, _ in self.pipeline)]
        for cycle in cycles:
            if cycle is not None and not cycle.response_complete:
                departure: Departure = cast("dict[str, Any]", cycle.scope)[DEPARTURE]
                departure.happen()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:
                self.send_400_response("")
            elif self._head_due is None:
                self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """An answer to an earlier request comes first; after it the connection is closed without another."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        elif self._head_size > HEAD_LIMIT:
            self.transport.write(TOO_LARGE)
            self.transport.close()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # uvicorn's type of the scope has no room for what is ours.
        cast("dict[str, Any]", self.scope)[DEPARTURE] = Departure()
        self._in_head = True
        self._head_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            # A trailer: nobody reads it, and it must not pass for a header.
            return
        super().on_header(name, value)
        self._head_size += len(name) + len(value) + 4
        if self._head_size > HEAD_LIMIT:
            raise ValueError("the headers are too large")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_came()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_due = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None
