"""The gateway's process: settings → backends → HTTP faces, and the worker's loops when the queue is in
process; stop in order.

Order of stopping: no new connections, open calls finish within `STOP_GRACE_S`, the loops end, the backends
close.
"""

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from gateway.actions.accept_events import accept_objects
from gateway.actions.sweep_jobs import announce_all
from gateway.api.app import build_app
from gateway.backends.connect import Backends, StoreFace, bind, open_backends, url_of
from gateway.credentials import with_credentials
from gateway.domain.event import StoredObject
from gateway.domain.job import Cause
from gateway.domain.problems import Problem
from gateway.logs import set_up_logs
from gateway.private_file import make_folder, replace_file
from gateway.settings import Settings, SettingsError, read_settings
from workers.loops import work

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 75
"""Longer than the idle time of proxies in front, so that they close first."""


def main() -> int:
    """0 after an orderly stop, 1 if it broke, 2 for settings that cannot be used."""
    try:
        settings = read_settings(os.environ)
        set_up_logs(log_format=settings.log_format, log_level=settings.log_level)
        with _only_one(settings.data_dir):
            uvloop.run(_serve(with_credentials(settings)))
    except SettingsError as error:
        print(f"oscar-gateway: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except Problem as problem:
        named = f"{problem.field}: " if problem.field else ""
        print(f"oscar-gateway: {named}{problem.detail}", file=sys.stderr)  # noqa: T201
        return 1
    except BaseExceptionGroup:
        log.exception("gateway.broke")
        return 1
    return 0


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """One process a data folder: two would launch each other's jobs. Makes the folder."""
    try:
        make_folder(data_dir)
        file = (data_dir / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {data_dir} cannot be written to: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"DATA_DIR: another gateway uses {data_dir}") from None
        yield


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with bind(settings.http_host, settings.http_port, name="HTTP_PORT") as listening:
        async with open_backends(settings) as (backends, face):
            await announce_all(backends)
            await _run_until(stop, backends, listening, face)
    log.info("gateway.stopped")


async def _run_until(
    stop: asyncio.Event, backends: Backends, listening: socket.socket, face: StoreFace | None
) -> None:
    """The loops start before the first request and end after the last one. One that breaks ends all."""
    async with asyncio.TaskGroup() as tasks:
        loops = tasks.create_task(work(backends))
        async with AsyncExitStack() as serving:
            if face is not None:
                face.listen(partial(_accept, backends))
                await serving.enter_async_context(_serving(face.app, face.listening, backends.settings))
            await serving.enter_async_context(_serving(build_app(backends), listening, backends.settings))
            _announce_endpoints(backends, url_of(listening))
            await stop.wait()
            log.info("gateway.stopping")
        loops.cancel()


async def _accept(backends: Backends, stored: StoredObject, notice: bytes) -> None:
    """An object was created in the embedded store: the event, without the way over the network."""
    await accept_objects(backends, [(stored, notice)], cause=Cause.EVENT)


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: it would raise them again after serving."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(app: ASGIApp, listening: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Serves while the context is open; leaving takes no new connection and lets open calls finish within
    the grace."""
    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(settings.stop_grace_s)),
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = True


def _announce_endpoints(backends: Backends, url: str) -> None:
    """Tell where everything is: people on stdout, programs in `<DATA_DIR>/endpoints.json`."""
    settings, provider = backends.settings, backends.objects.provider
    endpoints = {
        "url": settings.public_url or url,
        "username": settings.oscar_username,
        "password": settings.oscar_password,
        "s3": provider.endpoint,
        "access_key": provider.access_key,
        "secret_key": provider.secret_key,
    }
    replace_file(settings.data_dir / "endpoints.json", json.dumps(endpoints).encode())
    if settings.log_format == "console":
        lines = [f"  {name:<11} {value}" for name, value in endpoints.items()]
        print("\n".join(["oscar-gateway serves", *lines]), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
