"""What comes in on a connection: a request's body, bounded and as it comes, and the moment its client goes
away."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from starlette.types import Message, Receive, Scope

from gateway.domain.problems import Invalid, Stalled, TooLarge

IDLE_S = 60.0
"""How long the next piece of a body may take, or a client may take to read a piece of an answer."""


class ClientGone(Exception):
    """Nobody waits for an answer any more. Not a Problem: there is nobody to tell."""


class Incoming:
    """Reads `receive` for one request. The body can be read once."""

    def __init__(
        self,
        receive: Receive,
        *,
        limit: int,
        headers: Iterable[tuple[bytes, bytes]] = (),
        idle_s: float = IDLE_S,
    ) -> None:
        """`limit` in bytes. Raises TooLarge, or Invalid, for a declared length, before the client sends
        anything."""
        self._receive = receive
        self._limit = limit
        self._idle_s = idle_s
        self._read = asyncio.Event()
        self._check(_declared(headers))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises TooLarge beyond the limit, Stalled if nothing comes, ClientGone."""
        size = 0
        more = not self._read.is_set()
        while more:
            message = await self._next()
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if not more:
                self._read.set()
            size += len(chunk)
            self._check(size)
            if chunk:
                yield chunk

    async def whole(self) -> bytes:
        """All of it, in memory. Raises as `chunks`."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def gone(self) -> None:
        """Never returns; raises ClientGone when the client went away, once its body was read."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise ClientGone

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._receive()
        except TimeoutError as error:
            raise Stalled(f"nothing of the body came for {self._idle_s:g} s") from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise TooLarge(f"the body is larger than {self._limit} bytes", field="body")


@asynccontextmanager
async def while_connected(incoming: Incoming) -> AsyncIterator[None]:
    """Cancel what stands inside, and raise ClientGone, as soon as the client goes away. Other exceptions
    come out as they are."""
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


def headers_of(scope: Scope, wanted: bytes) -> list[str]:
    """Every header of that lower-case name, in order."""
    return [str(value.decode("latin-1")) for name, value in scope["headers"] if name == wanted]


def declared_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The length a body comes with; None for one that comes in chunks. Raises Invalid."""
    length = _declared(headers)
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    return None if chunked else length


def _declared(headers: Iterable[tuple[bytes, bytes]]) -> int:
    for name, value in headers:
        if name == b"content-length":
            if not (value.isdigit() and len(value) < 20):
                raise Invalid("Content-Length is not a number", field="Content-Length")
            return int(value)
    return 0
