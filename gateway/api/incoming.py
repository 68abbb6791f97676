"""What comes in on a connection: a request's body, bounded and as it comes, and the moment its client goes
away."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.types import Message, Receive, Scope

from gateway.api.within import within
from gateway.domain.body import Body
from gateway.domain.problems import Invalid, Stalled, TooLarge
from gateway.wire.departure import Departure

IDLE_S = 60.0
"""How long the next piece of a body may take, or a client may take to read a piece of an answer."""
SMALL = 128 << 10
"""A body of so many bytes is gathered before it is passed on: a slow client then holds nothing but memory."""


class ClientGone(Exception):
    """Nobody waits for an answer any more. Not a Problem: there is nobody to tell."""


class Incoming:
    """Reads `receive` for one request. The body can be read once. `departure` tells of the client's leaving;
    without one it has to be asked for all the time."""

    def __init__(
        self,
        receive: Receive,
        *,
        limit: int,
        headers: Iterable[tuple[bytes, bytes]] = (),
        idle_s: float = IDLE_S,
        departure: Departure | None = None,
    ) -> None:
        """`limit` in bytes. Raises TooLarge, or Invalid, for a declared length, before the client sends
        anything."""
        self._receive = receive
        self._limit = limit
        self._idle_s = idle_s
        self.departure = departure
        self._read = asyncio.Event()
        self.declared_bytes = _declared(headers)
        """The length the body comes with; None for one that comes in chunks."""
        self._check(self.declared_bytes or 0)

    async def body(self) -> Body:
        """In one piece if it is small, and known to be; else a stream. Raises as `chunks`."""
        if self.declared_bytes is not None and self.declared_bytes <= SMALL:
            return await self.whole()
        return self.chunks()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises TooLarge beyond the limit, Stalled if nothing comes, ClientGone."""
        size = 0
        while not self._read.is_set():
            chunk = await self._next()
            size += len(chunk)
            self._check(size)
            if chunk:
                yield chunk

    async def whole(self) -> bytes:
        """All of it, in memory. Raises as `chunks`."""
        first = b"" if self._read.is_set() else await self._next()
        self._check(len(first))
        if self._read.is_set():
            return first
        pieces, size = [first], len(first)
        while not self._read.is_set():
            pieces.append(await self._next())
            size += len(pieces[-1])
            self._check(size)
        return b"".join(pieces)

    async def gone(self) -> None:
        """Never returns; raises ClientGone when the client went away, once its body was read."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise ClientGone

    async def _next(self) -> bytes:
        try:
            message: Message = await within(self._idle_s, self._receive())
        except TimeoutError as error:
            raise Stalled(f"nothing of the body came for {self._idle_s:g} s") from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        if not message.get("more_body", False):
            self._read.set()
        chunk: bytes = message.get("body", b"")
        return chunk

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise TooLarge(f"the body is larger than {self._limit} bytes", field="body")


def while_connected(incoming: Incoming) -> AbstractAsyncContextManager[None]:
    """Cancel what stands inside, and raise ClientGone, as soon as the client goes away. Other exceptions
    come out as they are."""
    return _asking(incoming) if incoming.departure is None else _Told(incoming.departure)


class _Told:
    def __init__(self, departure: Departure) -> None:
        self._departure = departure
        self._task: asyncio.Task[Any] | None = None
        self._left = False

    async def __aenter__(self) -> None:
        if self._departure.happened:
            raise ClientGone
        self._task = asyncio.current_task()
        self._departure.callback = self._leave

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._departure.callback = None
        if self._left and self._task is not None:
            others = self._task.uncancel()
            if kind is asyncio.CancelledError and not others:
                raise ClientGone

    def _leave(self) -> None:
        self._left = True
        if self._task is not None:
            self._task.cancel()


@asynccontextmanager
async def _asking(incoming: Incoming) -> AsyncIterator[None]:
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(incoming.gone())
            try:
                yield
            except Exception as error:  # raised again below, without the group around it
                failure = error
            finally:
                watching.cancel()
    except* ClientGone:
        failure = failure or ClientGone()
    if failure is not None:
        raise failure


def header(scope: Scope, wanted: bytes) -> str:
    """The first header of that lower-case name, or ""."""
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return ""


def _declared(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """None if the body comes in chunks."""
    length: int | None = 0
    for name, value in headers:
        if name == b"content-length":
            if not (value.isdigit() and len(value) < 20):
                raise Invalid("Content-Length is not a number", field="Content-Length")
            length = int(value)
        elif name == b"transfer-encoding":
            length = None
    return length
