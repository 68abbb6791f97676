"""A gate on the way to a server, which can hold back everything and keep its connections open: as a link does
that swallows bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Gate:
    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._pipes: set[asyncio.Task[None]] = set()
        self._dead: list[asyncio.StreamWriter] = []
        self.port = 0

    def hold(self) -> None:
        """Nothing passes, on old and new connections."""
        self._open.clear()

    def pass_on(self) -> None:
        self._open.set()

    def shut_out_old_ones(self) -> None:
        """Connections there are stay open and silent for ever, new ones pass."""
        for pipe in self._pipes:
            pipe.cancel()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = writer, reader
        from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((from_server, to_target), (from_target, to_server)):
            pipe = asyncio.create_task(self._pipe(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while chunk := await source.read(1 << 16):
                    await self._open.wait()
                    sink.write(chunk)
                    await sink.drain()
        except asyncio.CancelledError:
            self._dead.append(sink)
            raise
        sink.close()

    async def close(self) -> None:
        pipes = list(self._pipes)
        self.shut_out_old_ones()
        await asyncio.gather(*pipes, return_exceptions=True)
        for sink in self._dead:
            sink.close()


@asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    gate = Gate(port)
    server = await asyncio.start_server(gate.meet, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield gate
        finally:
            await gate.close()
