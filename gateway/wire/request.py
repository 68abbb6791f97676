"""One request on a connection: the two ends of its ASGI conversation, `receive` and `send`."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Message, Scope

from gateway.domain.headers import Headers
from gateway.wire.departure import ANSWER, DEPARTURE, LATER, Departure
from gateway.wire.line import Line

log = structlog.get_logger(__name__)

READ_AHEAD = 256 << 10
"""Of a body, beyond what somebody took: then the client has to wait, bytes."""
GATHERED = 64 << 10
"""So large a body is waited for before anybody works for its request, bytes."""
TOGETHER = 64 << 10
"""A piece of an answer of so many bytes is copied behind its head: one write costs less than two."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
WITHOUT_BODY = frozenset({204, 304})


class Owner(Protocol):
    """A request's connection."""

    def run(self, request: "Request", app: ASGIApp) -> None:
        """Have an app answer it, in a task."""
        ...

    def ended(self, request: "Request") -> None:
        """The whole answer was given."""
        ...

    def rest(self) -> None:
        """Nothing may happen for long: what was kept for the sake of speed can go."""
        ...


class Request:
    complete = False
    """The whole answer was given."""
    arriving = True
    """There is more of the body to come."""
    _ahead = 0
    _taken = False
    _waiter: asyncio.Future[None] | None = None
    _begun = False
    _head = b""
    _chunked = False
    _later = False
    _left: int | None = None

    def __init__(
        self,
        line: Line,
        scope: Scope,
        *,
        standard: Headers,
        keep_alive: bool,
        expects_continue: bool,
        owner: Owner,
    ) -> None:
        """`standard` headers go with every answer."""
        self.scope = scope
        self.keep_alive = keep_alive
        self.departure = scope[DEPARTURE] = Departure()
        self._line = line
        self._standard = standard
        self.expects_continue = expects_continue
        self._owner = owner
        self._pieces: list[bytes] = []

    async def run(self, app: ASGIApp) -> None:
        """An app that raises, or ends without an answer and without having said so, is answered for; an
        answer that it left unfinished is cut off, so that nobody takes a part for the whole."""
        self._later = False
        self.scope[ANSWER], self.scope[LATER] = self.answer, self.later
        try:
            await app(self.scope, self.receive, self.send)
        except Exception as error:  # the last to catch it
            log.exception("app.broke", exc_info=error)
        finally:
            # A circle that the collector would have to find.
            for circle in (ANSWER, LATER):
                self.scope.pop(circle, None)
        if self.complete or self._later or self.departure.happened:
            return
        if self._begun and not self._head:
            self._line.transport.abort()
        else:
            self._head = b""
            self._line.transport.write(BROKEN)
            self._line.transport.close()

    @property
    def gathers(self) -> bool:
        """All of its body will be here without anybody reading it."""
        if self.expects_continue:
            return False
        declared = next((value for name, value in self.scope["headers"] if name == b"content-length"), b"")
        return declared.isdigit() and len(declared) < 8 and int(declared) <= GATHERED

    @property
    def body(self) -> bytes:
        """What is here of it, and was not taken."""
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def take_body(self) -> None:
        """All of what is here."""
        self._pieces, self._ahead, self._taken = [], 0, not self.arriving

    def go_on(self, app: ASGIApp) -> None:
        """What was begun in an app's `take`, or left for later, is the work of a task from here on."""
        self._owner.run(self, app)

    def later(self) -> "Request":
        """The app may end before there is an answer, and the head be cut down to what its answer needs; the
        request is whoever's who takes it, until `go_on`."""
        self._later = True
        self._owner.rest()
        return self

    def feed(self, piece: bytes) -> None:
        """Of the body."""
        if self.complete:
            return
        self._pieces.append(piece)
        self._ahead += len(piece)
        if self._ahead > READ_AHEAD:
            self._line.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        self.arriving = False
        self._wake()

    def depart(self) -> None:
        """The client is gone. One that has every byte it was told of leaves nothing behind."""
        whole = self.complete or (self._begun and self._left == 0)
        if not whole:
            self.departure.happen()
        self._wake()

    async def receive(self) -> Message:
        if self.expects_continue and not self._begun:
            self.expects_continue = False
            self._line.transport.write(CONTINUE)
        while not self._pieces and (self.arriving or self._taken):
            if self.departure.happened or self.complete:
                return {"type": "http.disconnect"}
            if self.arriving or not self._line.queued:
                self._line.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        body = self.body
        self.take_body()
        return {"type": "http.request", "body": body, "more_body": self.arriving}

    async def send(self, message: Message) -> None:
        """Waits while the client takes nothing. The head goes out with the first piece of the body, or by
        itself if that does not follow at once."""
        if self._line.writable is not None:
            await self._line.drain()
        if self.departure.happened:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
            asyncio.get_running_loop().call_soon(self._send_head)
        else:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """The whole answer at once, as `send` would give it in two messages; False if that has to wait, or
        nobody is there any more."""
        if self._line.writable is not None or self.departure.happened:
            return False
        self._begin(status, headers)
        self._go_on(body, more=False)
        return True

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self._begun:
            raise RuntimeError("the answer has begun already")
        bodiless = self.scope["method"] == "HEAD" or status in WITHOUT_BODY
        lines, self._left = [_status_line(status)], 0 if bodiless else None
        for header in (*self._standard, *headers):
            lines.append(b": ".join(header))
            if header[0] == b"content-length" and not bodiless:
                self._left = int(header[1])
        if self._left is None:
            # HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
            self._chunked = self.scope["http_version"] != "1.0"
            self.keep_alive = self.keep_alive and self._chunked
        if self._chunked:
            lines.append(b"transfer-encoding: chunked")
        if not self.keep_alive:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1:
            raise RuntimeError("a header of the answer holds a line break")
        self._begun, self._head = True, head + b"\r\n\r\n"

    def _send_head(self) -> None:
        """Unless it went out with a piece of the body."""
        if self._head and not self.departure.happened:
            head, self._head = self._head, b""
            self._line.transport.write(head)

    def _go_on(self, piece: bytes, *, more: bool) -> None:
        if not self._begun or self.complete:
            raise RuntimeError("no answer has begun, or it is complete")
        if self._left == 0 and self.scope["method"] == "HEAD":
            piece = b""
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is not as long as it was declared")
        self._write(piece, more=more)
        if not more:
            self.complete = True
            self._wake()
            self._owner.ended(self)

    def _write(self, piece: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        if self._chunked:
            framed = (b"%x\r\n" % len(piece), piece, b"\r\n") if piece else ()
            self._line.transport.writelines((head, *framed, b"" if more else b"0\r\n\r\n"))
        elif not (head or piece):
            # The end of an answer whose every byte went out: its client may be gone, as it should.
            return
        elif len(piece) <= TOGETHER:
            self._line.transport.write(head + piece)
        else:
            self._line.transport.writelines((head, piece))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status


_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}".encode() for one in HTTPStatus}
