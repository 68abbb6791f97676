"""A client's connection: bytes to requests, one answered after the other, as uvicorn's server wants its
protocols. No WebSockets, no upgrades."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from gateway.domain.headers import Headers
from gateway.wire.head import check_headers, declared_bytes, scope_of
from gateway.wire.line import Line
from gateway.wire.request import Request
from gateway.wire.seen import Again, Seen, see

HEAD_LIMIT = 64 << 10
"""Of a request's line and headers together, bytes."""
HEAD_S = 30.0
"""How long a client may take to the end of a request's headers, or with a body that nobody waits for."""
GATHER_S = 0.05
"""How long the rest of a small body may be in coming before its request goes the way of those that wait."""
VARIED = 16
"""So often another head than the one before may come until nobody looks for the same one any more."""
QUEUE_LIMIT = 100
"""Requests that may be sent before the one in front of them is answered."""

CLOSING = b"content-length: 0\r\nconnection: close\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n" + CLOSING
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + CLOSING
NEVER = float("inf")


class Connection:
    """An asyncio.Protocol, but not by descent, for the sake of its compiled form. httptools calls the `on_`
    methods; what they raise makes the request a bad one."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 - uvicorn gives it
        _loop: Any = None,
        *,
        head_s: float = HEAD_S,
    ) -> None:
        """As uvicorn makes them; `app_state` is a lifespan's, which our apps have none of."""
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self._take: Callable[[Request], bool] | None = getattr(self._app, "take", None)
        self._keep_alive_s = float(config.timeout_keep_alive)
        self._head_s = head_s
        self._state = server_state
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._line: Line
        self._peers: dict[str, Any] = {}
        self._arriving: Request | None = None
        self._answering: Request | None = None
        self._fresh: Request | None = None
        """The one being answered, while nobody works for it yet."""
        self._gathering: asyncio.TimerHandle | None = None
        self._queue: deque[Request] = deque()
        self._refused = False
        self._seen: Seen | None = None
        self._varied = 0
        self._in_head = False
        self._size = 0
        self._left = 0
        """Of the arriving body, if its length is declared and something may follow it, bytes."""
        self._url = b""
        self._headers: Headers = []
        self._due = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio hands over the base class of what it promises to stream protocols.
        self._line = Line(cast("asyncio.Transport", transport))
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn's set is of its own protocols
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._peers = {
            "client": client[:2] if isinstance(client, tuple) else None,
            "server": server[:2] if isinstance(server, tuple) else None,
        }
        self._close_in(self._head_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it came to it
        self._state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        for request in (self._answering, *self._queue):
            if request is not None:
                request.depart()
        self._queue.clear()
        self._line.resume_writing()
        if self._fresh is not None:
            self._start(self._fresh)

    def data_received(self, data: bytes) -> None:
        if self._left > 0 and self._arriving is not None:
            data = self._pass_by(self._arriving, data)
        if data and not self._refused:
            self._read(data)

    def _read(self, data: bytes) -> None:
        at_rest = self._answering is None and self._arriving is None and not self._in_head
        if at_rest and self._seen is not None and (again := self._seen.again(data)) is not None:
            self._repeat(again, data)
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse()
        if at_rest:
            self._see(data)
        if self._fresh is not None:
            self._start(self._fresh)
        if self._in_head and not self._refused:
            self._size += len(data)
            if self._size > HEAD_LIMIT:
                self._refuse()
            elif self._due > self._loop.time() + self._head_s:
                self._close_in(self._head_s)

    def _pass_by(self, request: Request, data: bytes) -> bytes:
        """What is the body's for sure need not be read, nor copied, by the parser; the next request gets a
        new one. Gives what is not the body's."""
        piece = data if len(data) <= self._left else data[: self._left]
        self._left -= len(piece)
        request.feed(piece)
        if not self._left:
            self._parser = httptools.HttpRequestParser(self)
            self._end_body()
            if self._fresh is not None:
                self._start(self._fresh)
        return data[len(piece) :]

    def _see(self, data: bytes) -> None:
        """Of exactly one request, after which the connection stays."""
        request, before, self._seen = self._fresh, self._seen, None
        if before is not None:
            self._varied += 1
        if self._varied >= VARIED:
            return
        alone = not (self._refused or self._in_head or self._queue or self._arriving)
        if request is not None and alone and request.keep_alive and not request.expects_continue:
            self._seen = see(data, request.scope)

    def _repeat(self, again: Again, data: bytes) -> None:
        """Its parser, between two requests, need not know."""
        self._due = NEVER
        request = self._request(again.scope, keep_alive=True, expects_continue=False)
        request.feed(data[again.length :])
        request.feed_end()
        self._answering = self._fresh = request
        self._start(request)

    def eof_received(self) -> None:
        """A client that sends no more is gone."""

    def pause_writing(self) -> None:
        self._line.pause_writing()

    def resume_writing(self) -> None:
        self._line.resume_writing()

    def shutdown(self) -> None:
        """uvicorn stops: what is being answered is answered, no more."""
        self._queue.clear()
        if self._answering is None:
            self._line.transport.close()
        else:
            self._answering.keep_alive = False

    def on_message_begin(self) -> None:
        self._in_head = True
        self._size = 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value) + 4
        if self._in_head:
            # Else a trailer, which must not pass for a header.
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._require_size()
        self._in_head = False
        self._size = 0
        self._due = NEVER
        parser, version = self._parser, self._parser.get_http_version()
        if parser.should_upgrade():
            # Its body would be the other protocol's: nothing of it can be told from a next request.
            raise ValueError("an upgrade that nobody offered")
        request = self._request(
            scope_of(
                self._url,
                self._headers,
                self._peers,
                method=parser.get_method().decode("ascii"),
                version=version,
            ),
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            expects_continue=check_headers(self._headers, version=version),
        )
        self._arriving = request
        # What may follow the last request of a connection, only the parser can tell.
        self._left = declared_bytes(self._headers) if request.keep_alive else 0
        if self._answering is None:
            self._answering = self._fresh = request
        elif len(self._queue) < QUEUE_LIMIT:
            self._queue.append(request)
            self._line.queued = True
            self._line.pause_reading()
        else:
            raise ValueError("too many requests at once")

    def on_body(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._arriving is not None:
            self._arriving.feed(piece)

    def on_message_complete(self) -> None:
        self._require_size()
        self._end_body()

    def _end_body(self) -> None:
        """All of the arriving request is here."""
        request, self._arriving, self._left = self._arriving, None, 0
        if request is not None:
            request.feed_end()

    def _request(self, scope: dict[str, Any], *, keep_alive: bool, expects_continue: bool) -> Request:
        return Request(
            self._line,
            scope,
            standard=self._state.default_headers,
            keep_alive=keep_alive,
            expects_continue=expects_continue,
            owner=self,
        )

    def _start(self, request: Request) -> None:
        """By the app's `take` if it does, which needs the whole request; else by a task."""
        if request.arriving and request.gathers and not (self._refused or self._line.transport.is_closing()):
            if self._gathering is None:
                self._gathering = self._loop.call_later(GATHER_S, self.run, request, self._app)
            return
        if request.arriving or self._take is None or not self._take(request):
            self.run(request, self._app)
        else:
            self._settle()

    def _settle(self) -> None:
        """Somebody works for the fresh one."""
        self._fresh = None
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def run(self, request: Request, app: ASGIApp) -> None:
        """As its requests want it; `ended` and `rest` too."""
        self._settle()
        task = self._loop.create_task(request.run(app))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def rest(self) -> None:
        self._seen = None
        if not self._in_head:
            self._url, self._headers = b"", []

    def ended(self, request: Request) -> None:
        """The next one's turn, if there is one and the connection stays."""
        self._state.total_requests += 1
        self._answering = None
        if not request.keep_alive or self._line.transport.is_closing():
            self._line.transport.close()
            return
        if self._queue:
            self._answering = self._fresh = self._queue.popleft()
            self._start(self._fresh)
        self._line.queued = bool(self._queue)
        if self._refused and not self._line.queued and self._answering is None:
            self._line.transport.close()
            return
        self._line.resume_reading()
        if self._answering is None:
            self._close_in(self._head_s if request.arriving else self._keep_alive_s)

    def _refuse(self) -> None:
        """An unreadable request. What came before it is answered first; what is half here never will be."""
        self._refused = True
        half, self._arriving = self._arriving, None
        if half is not None and half in self._queue:
            self._queue.remove(half)
        elif half is not None:
            half.depart()
        if self._answering is None or self._answering is half:
            self._line.transport.write(TOO_LARGE if self._size > HEAD_LIMIT else BAD_REQUEST)
            self._line.transport.close()

    def _require_size(self) -> None:
        """Of the head, or of the trailers."""
        if self._size > HEAD_LIMIT:
            raise ValueError("the head is too large")

    def _close_in(self, seconds: float) -> None:
        """One timer a connection, not one a request: it looks for itself whether it is time."""
        self._due = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= self._due:
            self._line.transport.close()
        elif self._due < NEVER:
            self._timer = self._loop.call_at(self._due, self._look)
