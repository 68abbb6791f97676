"""An answer: what comes back on a connection for one request, read as it comes and never further ahead than a
bound."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import httptools

from gateway.backends.invoker.upstream.headers import NOT_PASSED_BACK, end_to_end
from gateway.backends.invoker.upstream.message import Response
from gateway.domain.headers import Headers
from gateway.domain.problems import Unanswered

HEAD_LIMIT = 64 << 10
"""Of an answer's headers and trailers together, and of what comes before them, bytes."""
TOO_LARGE = "the headers of the backend's answer are too large"
READ_AHEAD = 256 << 10
"""Beyond so many bytes that nobody took yet the backend has to wait; below half of it it goes on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer's head as it was read. The next answer on its connection mostly begins with the same bytes:
    then they are not read again. `size` is of head and body together; `headers` are the end-to-end ones."""

    head: bytes
    size: int
    status: int
    headers: Headers


class Answer:
    """Fed by its connection; httptools calls the `on_` methods. Iterating gives the body's pieces.

    A body that breaks off raises Unanswered after its last piece; it never just ends.
    """

    complete = False
    reusable = False
    failure: Exception | None = None
    told: Callable[[], None] | None = None
    """Called once, when `response_now` has something to say. Who sets it does not wait meanwhile."""
    _status = 0
    _listed = 0
    _unlisted = 0
    _begun = False
    _ends_by_closing = False
    _ahead = 0
    _paused = False
    _waiter: asyncio.Future[None] | None = None
    _parser: httptools.HttpResponseParser | None = None
    _end_to_end: Headers | None = None

    def __init__(self, transport: asyncio.Transport, *, to_head: bool) -> None:
        self._transport = transport
        self._to_head = to_head
        self._headers: Headers = []
        self._pieces: deque[bytes] = deque()

    async def response(self) -> Response:
        """Once its head is there. Waits as long as it is let. Raises Unanswered, or what `fail` was given."""
        while (response := self.response_now()) is None:
            await self._more()
        return response

    def response_now(self) -> Response | None:
        """If its head is there. Raises as `response`."""
        if not self._status:
            if self.failure is not None:
                raise self.failure
            return None
        if self._end_to_end is None:
            self._end_to_end = end_to_end(self._headers, NOT_PASSED_BACK)
        headers = self._end_to_end
        if not self.complete:
            return Response(self._status, headers, self)
        whole = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        return Response(self._status, headers, whole)

    def __aiter__(self) -> "Answer":
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self.complete:
                raise StopAsyncIteration
            if self.failure is not None:
                raise self.failure
            await self._more()
        piece = self._pieces.popleft()
        self._ahead -= len(piece)
        if self._paused and self._ahead < READ_AHEAD // 2:
            self._paused = False
            self._transport.resume_reading()
        return piece

    def repeat(self, seen: Seen, data: bytes) -> bool:
        """Whether these bytes are all of it, with a head that was seen before."""
        if len(data) != seen.size or self._begun or self._to_head or not data.startswith(seen.head):
            return False
        self._begun = self.complete = self.reusable = True
        self._status, self._end_to_end = seen.status, seen.headers
        self._pieces.append(data[len(seen.head) :])
        self._wake()
        return True

    def seen(self, data: bytes) -> Seen | None:
        """Its head, if these bytes were all of it and another body of that length could follow it."""
        end = data.find(b"\r\n\r\n") + 4
        framed = (b"content-length", b"%d" % (len(data) - end)) in self._headers
        if not (framed and self.reusable and self._unlisted == len(data)) or self._to_head:
            return None
        return Seen(data[:end], len(data), self._status, end_to_end(self._headers, NOT_PASSED_BACK))

    def feed(self, data: bytes) -> None:
        """Bytes came."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        self._begun = True
        self._unlisted += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            self._broke("the backend's answer is not HTTP/1.1", error)
        if self._listed > HEAD_LIMIT or (self._unlisted > HEAD_LIMIT and not self._status):
            self._broke(TOO_LARGE)
        self._wake()

    def closed(self, *, orderly: bool) -> None:
        """No more bytes will come; `orderly` if the backend said so itself."""
        if self._ends_by_closing and orderly and self.failure is None:
            self.complete = True
        if not self._begun:
            self._broke("the backend closed the connection without answering")
        elif not self._status:
            self._broke("the backend closed the connection amid the headers of its answer")
        else:
            self._broke("the backend closed the connection amid the body of its answer")
        self._wake()

    def fail(self, failure: Exception) -> None:
        """Nobody can answer any more. What is complete stays so."""
        if not self.complete and self.failure is None:
            self.failure = failure
        self._wake()

    def release(self) -> None:
        """Nothing more will be fed. Else parser and answer would keep each other, and the next answer would
        wait for one that was paused and then taken as a whole."""
        self._parser = None
        if self._paused:
            self._transport.resume_reading()

    def on_message_begin(self) -> None:
        if self.complete:
            # Bytes that nobody asked for: what would be answered next could not be trusted.
            self.reusable = False
        elif not self._status:
            self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._listed += len(name) + len(value) + 4
        if not self._status and self._listed <= HEAD_LIMIT:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code() if parser is not None else 0
        if self._status or status < 200 or parser is None:
            return
        if not parser.should_keep_alive() and not self._to_head and status not in (204, 304):
            self._look_at_framing()
        if self._listed > HEAD_LIMIT:
            self._broke(TOO_LARGE)
        if self.failure is not None:
            return
        self._status = status
        if self._to_head:
            # What would be a body's framing only tells; the parser, which cannot know, is not used again.
            self.complete = True
            self.reusable = parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        if self.complete:
            self.reusable = False
            return
        self._pieces.append(piece)
        self._ahead += len(piece)
        if self._ahead > READ_AHEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        parser = self._parser
        if self._status and not self.complete and self.failure is None and parser is not None:
            self.complete = True
            self.reusable = parser.should_keep_alive() and not self._ends_by_closing

    def _look_at_framing(self) -> None:
        """Of an answer after which the connection ends: does only that end its body?"""
        codings = [value.strip().lower() for name, value in self._headers if name == b"transfer-encoding"]
        if codings and codings != [b"chunked"]:
            self._broke("the backend's answer has a transfer coding that nobody asked for")
        self._ends_by_closing = not codings and all(name != b"content-length" for name, _ in self._headers)

    def _broke(self, detail: str, cause: Exception | None = None) -> None:
        if not self.complete and self.failure is None:
            self.failure = Unanswered(detail)
            self.failure.__cause__ = cause

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        told = self.told
        if told is not None and (self._status or self.failure is not None):
            self.told = None
            told()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
