"""A backend that behaves as a test tells it: a real server whose every connection is one coroutine."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.backends.invoker.upstream.message import Origin

Behaviour = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """One connection, seen from the backend."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> str:
        """The next request's, lower case; IncompleteReadError when the gateway has closed."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()

    async def body(self, head: str) -> bytes:
        if "transfer-encoding: chunked" not in head:
            length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
            return await self.reader.readexactly(length)
        whole = b""
        while size := int(await self.reader.readline(), 16):
            whole += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return whole

    async def request(self) -> tuple[str, bytes]:
        head = await self.head()
        return head, await self.body(head)

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    def reset(self) -> None:
        """Not closed in order: the other end gets a reset."""
        linger_0 = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_0)
        self.writer.transport.abort()


@dataclass
class Backend:
    origin: Origin
    connections: int = 0
    seen: list[tuple[str, bytes]] = field(default_factory=list)


@asynccontextmanager
async def backend(behaviour: Behaviour) -> AsyncIterator[Backend]:
    """Connections are closed when their coroutine ends, and all at the end."""
    open_ones: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        started.connections += 1
        try:
            await behaviour(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # The streams of asyncio report a cancelled coroutine as an error of its own.
            pass
        finally:
            open_ones.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    started = Backend(Origin(host, port))
    try:
        yield started
    finally:
        server.close()
        for task in list(open_ones):
            task.cancel()
        if open_ones:
            await asyncio.wait(open_ones, timeout=5)


def answering(started: list[tuple[str, bytes]], answer: bytes) -> Behaviour:
    """Reads each request into the list and gives this answer."""

    async def behave(peer: Peer) -> None:
        while True:
            started.append(await peer.request())
            await peer.send(answer)

    return behave
