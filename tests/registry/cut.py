"""A line to an API server that can be cut: connections end at once, new ones are refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Cut:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()

    async def cut(self) -> None:
        self._open = False
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        self._open = True

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}
            for one in (writer, far_writer):
                one.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def open_cut(kubeconfig: Path, path: Path) -> AsyncIterator[tuple[Cut, Path]]:
    """With a kubeconfig that goes through it."""
    document = yaml.safe_load(kubeconfig.read_text())
    target = urlsplit(document["clusters"][0]["cluster"]["server"])
    cut = Cut(str(target.hostname), target.port or 443)
    server = await asyncio.start_server(cut.pass_on, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path.write_text(yaml.safe_dump(document))
    try:
        yield cut, path
    finally:
        await cut.cut()
        server.close()
        await server.wait_closed()
