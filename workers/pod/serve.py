"""The sidecar of a synchronous pod: answers a service's calls over HTTP by running its script in the user's
container beside it. It imports little: what it takes to start is part of every cold start.

    python -m workers.pod.serve --slots 1 --calls /oscar/calls --port 8080 --log-limit N --output-limit N
"""

import argparse
import asyncio
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from gateway.domain.problems import Problem, Unavailable
from gateway.staging.pod_call import ENDED, LIMIT, POD, RAW_TYPE, READY_PATH, STATUS, PodEnd
from workers.pod.call import Limits, PodAnswer, PodCall, told
from workers.pod.pipes import make_pipes
from workers.pod.slots import Slots

log = logging.getLogger("pod")

PIPES = "pipes"
"""The folder of pipes, beside those of the calls."""
KEEP_ALIVE_S = 600
"""Longer than the proxy in front keeps a connection, so that it closes first."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientGoneError(Exception):
    """Before its body was whole."""


class Pod:
    """A raw ASGI app: `GET /ready`, and every POST is a call."""

    def __init__(self, calls: Path, slots: Slots, limits: Limits) -> None:
        self._calls = calls
        self._slots = slots
        self._limits = limits

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await self._call(scope, receive, send)
        else:
            ready = scope["path"] == READY_PATH and self._slots.open
            await _send(send, 200 if ready else 503, [(b"content-length", b"0")])

    async def _call(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        call = PodCall(self._calls, f"call-{secrets.token_hex(8)}", self._slots, self._limits)
        try:
            answer = await call.answer(
                _body(receive),
                partial(_gone, receive),
                limit_s=_limit(headers),
                raw=RAW_TYPE.encode() in headers.get(b"accept", b""),
            )
            if answer is not None:
                await _pass_on(answer, send)
        except ClientGoneError:
            pass
        except Problem as problem:
            kind = PodEnd.NOT_STARTED if isinstance(problem, Unavailable) else PodEnd.FAILED
            await _pass_on(told(kind, problem.detail), send)
        finally:
            await call.discard()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _limit(headers: dict[bytes, bytes]) -> float:
    try:
        return max(0.001, float(headers[LIMIT.encode()]))
    except (KeyError, ValueError):
        return 300.0


async def _pass_on(answer: PodAnswer, send: Send) -> None:
    """The length is always told: a proxy that cuts an answer cannot make it look whole."""
    start = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(answer.size_bytes).encode()),
        (ENDED.encode(), answer.end.value.encode()),
        (b"server-timing", b"run;dur=%.3f" % (answer.ran_s * 1000)),
    ]
    if answer.end is PodEnd.LOST:
        start.append((POD.encode(), os.uname().nodename.encode()))
    await send({"type": "http.response.start", "status": STATUS[answer.end], "headers": start})
    async for chunk in answer.body:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: it would raise them again after serving."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(options: argparse.Namespace) -> None:
    """Until SIGTERM; then open calls finish and the loops are told to end."""
    used = not make_pipes(options.calls / PIPES, options.slots)
    slots = Slots(options.calls / PIPES, options.slots, used=used)
    slots.begin()
    app = Pod(options.calls, slots, Limits(output=options.output_limit, stdout=options.log_limit))
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            loop="asyncio",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with socket.create_server((options.host, options.port), backlog=1024) as listening:
        # Accepted connections inherit it; asyncio does it for sockets of its own making only. Without it the
        # second segment of an answer waits 40 ms for a delayed acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await server.serve(sockets=[listening])
    slots.quit()
    slots.close()


def _clear(calls: Path) -> None:
    """What an earlier life of this container left."""
    for left in calls.glob("call-*"):
        shutil.rmtree(left, ignore_errors=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.pod.serve")
    parser.add_argument("--calls", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104  # the pod's own network
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--log-limit", type=int, required=True)
    parser.add_argument("--output-limit", type=int, required=True)
    options = parser.parse_args(arguments)
    os.umask(0)
    _clear(options.calls)
    asyncio.run(serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
