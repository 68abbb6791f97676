"""Clients that take their time (slow-loris): cut after a bound, however steadily they dribble."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.wire.connection import Connection

HEAD_S = 0.3
WHOLE = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"


async def ok(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config, state = uvicorn.Config(ok, lifespan="off", log_config=None), ServerState()

    def connection() -> asyncio.Protocol:
        return cast("asyncio.Protocol", Connection(config, state, app_state={}, head_s=HEAD_S))

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def cut_after_s(port: int, first: bytes, *, dribble: bytes) -> tuple[float, bytes]:
    """How long a client is suffered that sends that, then byte after byte; and what it was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    began = time.monotonic()
    answer = b""

    async def read() -> None:
        nonlocal answer
        # Whoever is cut while it writes may be reset.
        with suppress(ConnectionResetError):
            while piece := await reader.read(1 << 10):
                answer += piece

    reading = asyncio.create_task(read())
    async with asyncio.timeout(10):
        while not reading.done():
            writer.write(dribble)
            await asyncio.wait([reading], timeout=0.02)
    writer.transport.abort()
    return time.monotonic() - began, answer


@pytest.mark.parametrize(
    ("first", "dribble"),
    [
        (b"", b""),
        (WHOLE[:20], b""),
        (b"GET /", b"x"),
        (b"GET / HTTP/1.1\r\nHost: gateway\r\nX-Slow: ", b"x"),
    ],
    ids=["nothing", "half a head", "its path byte by byte", "a header byte by byte"],
)
async def test_a_head_that_does_not_end_is_cut(port: int, first: bytes, dribble: bytes) -> None:
    took_s, answer = await cut_after_s(port, first, dribble=dribble)
    assert HEAD_S * 0.9 <= took_s < 5
    assert answer == b""


async def test_the_bound_holds_for_a_second_request_on_a_kept_connection(port: int) -> None:
    took_s, answer = await cut_after_s(port, WHOLE + b"GET / HTTP/1.1\r\nX-Slow: ", dribble=b"x")
    assert HEAD_S * 0.9 <= took_s < 5
    assert answer.endswith(b"ok")
    assert answer.count(b"HTTP/1.1 200") == 1
