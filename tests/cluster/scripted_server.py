"""An API server that answers what a test says: for what a real one does only under bad weather."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.backends.cluster import Cluster, open_cluster
from gateway.settings import Settings
from tests.servers.control_plane import write_kubeconfig

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def cluster_of(handler: Handler, folder: Path, *, token: str = "t0") -> AsyncIterator[Cluster]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    kubeconfig = write_kubeconfig(folder / "kubeconfig", f"http://{host}:{port}", token)
    try:
        async with open_cluster(Settings(kubeconfig=str(kubeconfig), kubernetes_namespace="x")) as cluster:
            yield cluster
    finally:
        await runner.cleanup()


class Lists:
    """Answers one kind's lists and watches: each request takes the next step of its script."""

    def __init__(
        self, *, lists: list[dict[str, Any] | int], watches: list[list[dict[str, Any]] | int]
    ) -> None:
        self._lists, self._watches = iter(lists), iter(watches)
        self.asked: list[dict[str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        if "watch" not in request.query:
            return _whole(next(self._lists))
        events = next(self._watches, None)
        if isinstance(events, int):
            return _whole(events)
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events or []:
            await response.write(json.dumps(event).encode() + b"\n")
        if events is None:
            await asyncio.sleep(60)  # a quiet watch, until the client goes
        return response


def listing(version: int, *names: str, more: str = "") -> dict[str, Any]:
    metadata = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return {"metadata": metadata, "items": [thing(name, version) for name in names]}


def thing(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": thing(name, version)}


def status(code: int, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


def _whole(answer: dict[str, Any] | int) -> web.Response:
    if isinstance(answer, int):
        return web.json_response(status(answer), status=answer)
    return web.json_response(answer)
