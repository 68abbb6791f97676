"""Serving: what every process of ours is, from its settings to its exit status: an ASGI app on a socket,
signals, one process a data folder."""

import asyncio
import ctypes
import fcntl
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from gateway.credentials import with_credentials
from gateway.domain.problems import Problem
from gateway.logs import set_up_logs
from gateway.private_file import make_folder
from gateway.settings import Settings, SettingsError, read_settings
from gateway.wire.connection import Connection

log = structlog.get_logger(__name__)

COLLECT_AFTER = 20_000
"""New objects between two looks for cycles among them."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's names for what `mallopt` sets."""
FREE_KEPT, MAPPED_FROM = 16 << 20, 4 << 20
"""Bytes that are kept when they are free; those from which on a piece of memory is mapped by itself."""
KEEP_ALIVE_S = 75
"""Longer than the idle time of proxies in front, so that they close first."""


def run_process(
    name: str,
    main: Callable[[Settings], Coroutine[None, None, int | None]],
    *,
    given: Mapping[str, str] | None = None,
    process: int = 0,
) -> int:
    """Settings from the environment and, over it, what is `given`; logs, the folder's lock, then `main` to
    its end. `process` tells which of several it is that share one data folder.

    What `main` returns, 0 after an orderly stop, 1 if it broke, 2 for settings that cannot be used; then one
    line says which.
    """
    try:
        settings = read_settings({**os.environ, **(given or {})}).of_process(process)
        set_up_logs(log_format=settings.log_format, log_level=settings.log_level)
        with _only_one(settings.own_dir):
            return uvloop.run(main(with_credentials(settings))) or 0
    except (Exception, BaseExceptionGroup) as error:
        match _single(error):
            case SettingsError() as wrong:
                print(f"{name}: {wrong}", file=sys.stderr)  # noqa: T201
                return 2
            case Problem() as problem:
                named = f"{problem.field}: " if problem.field else ""
                print(f"{name}: {named}{problem.detail}", file=sys.stderr)  # noqa: T201
            case _:
                log.exception("process.broke", process=name)
        return 1


def _single(error: BaseException) -> BaseException:
    """Without the groups around it: what breaks inside a task group's block comes out in one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """One process a folder: two would launch each other's jobs. Makes the folder. Raises SettingsError."""
    try:
        make_folder(data_dir)
        file = (data_dir / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {data_dir} cannot be written to: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"DATA_DIR: another gateway or worker uses {data_dir}") from None
        yield


def told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and SIGINT from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: it would raise them again after serving."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settle_memory() -> None:
    """What is there now stays: the collector need not look at it again and again, which was a sixth of a
    call's cost. What calls leave is freed by counting; cycles are rare enough to be looked for rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)
    _keep_freed()


def _keep_freed() -> None:
    """The pieces that large bodies come in are made and freed all the time: by default each would be given
    back to the system and its pages fetched anew, which was a tenth of what passing such a body costs."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Of another C library than glibc there is none.
        mallopt(M_MMAP_THRESHOLD, MAPPED_FROM)
        mallopt(M_TRIM_THRESHOLD, FREE_KEPT)


@asynccontextmanager
async def serving(app: ASGIApp, listening: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Serves while the context is open; leaving takes no new connection and lets open calls finish within
    the grace."""
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", Connection),
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        # Who called is who connected: what proxies wrote before us is passed on, not believed.
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, int(settings.stop_grace_s)),
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config)
    _settle_memory()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = True
