"""What the gateway's memory grows by while 1 GiB is passed on, up and then down, through one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.gateway import Gateway, deploy, gateway
from benchmarks.processes import resident_bytes

SIZE = 1 << 30
PIECE = b"x" * (256 << 10)
EVERY_S = 0.02
DOWN = b"/?down"


async def measure() -> None:
    async with _backend() as port, gateway(INVOKER_URL=f"http://127.0.0.1:{port}") as started:
        connection = await started.connect()
        await deploy(connection, "bench", "true")
        await connection.request("POST", "/run/bench", b"warm")
        connection.writer.close()
        print("\nmemory while 1 GiB is passed on")
        idle = resident_bytes(started.pid)
        for way in ("up", "down"):
            peak = await _peak(started, _passed(started, way))
            print(f"{way:28}{(peak - idle) / (1 << 20):10.1f}  MiB above idle ({idle / (1 << 20):.0f} MiB)")


async def _peak(started: Gateway, passing: asyncio.Future[None]) -> int:
    most = 0
    while not passing.done():
        most = max(most, resident_bytes(started.pid))
        await asyncio.sleep(EVERY_S)
    await passing
    return most


def _passed(started: Gateway, way: str) -> asyncio.Future[None]:
    return asyncio.ensure_future(_up(started) if way == "up" else _down(started))


async def _up(started: Gateway) -> None:
    reader, writer = await _asked(started, "/run/bench", SIZE)
    for _ in range(SIZE // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()
    await _require_ok(reader)
    writer.close()


async def _down(started: Gateway) -> None:
    reader, writer = await _asked(started, "/run/bench?down", 0)
    await _require_ok(reader)
    left = SIZE
    while left and (piece := await reader.read(1 << 20)):
        left -= len(piece)
    if left:
        raise SystemExit(f"{left} bytes of the answer are missing")
    writer.close()


async def _asked(
    started: Gateway, path: str, length: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(started.host, started.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {started.authorization}\r\n"
    writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode())
    return reader, writer


async def _require_ok(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head:
        raise SystemExit(head.decode())


@asynccontextmanager
async def _backend() -> AsyncIterator[int]:
    """Takes any body; answers `ok`, or 1 GiB to whom asks for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                left = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                length = SIZE if DOWN in head else 2
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
                for start in range(0, length, len(PIECE)):
                    writer.write(PIECE[: min(len(PIECE), length - start)])
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
