"""The gateway's process: settings → backends → HTTP faces, and the worker's loops where no other process
could run them; stop in order. With `--workers N` a parent of N such processes.

Order of stopping: no new connections, open calls finish within `STOP_GRACE_S` (held ones are handed over at
half of it), the loops end, the backends close.
"""

import asyncio
import json
import socket
import sys
from contextlib import AsyncExitStack
from functools import partial

import structlog

from gateway.actions.accept_events import accept_objects
from gateway.actions.learn_durations import keep_durations, recall_durations
from gateway.api.app import build_app, build_site
from gateway.api.measure_files import KEEP_EVERY_S as KEEP_MEASURES_S
from gateway.api.measure_files import MeasureFiles
from gateway.backends.connect import Backends, StoreFace, bind, open_backends, url_of
from gateway.command_line import read_command_line
from gateway.domain.event import StoredObject
from gateway.domain.job import Cause
from gateway.domain.problems import Problem
from gateway.private_file import replace_file
from gateway.processes import run_processes
from gateway.serving import run_process, serving, told_to_stop
from gateway.settings import Settings, SettingsError
from workers.loops import work
from workers.periodic import repeat

log = structlog.get_logger(__name__)

KEEP_EVERY_S = 10.0
"""Between two times that what was learned of calls is written down, if any of it changed."""


async def _main(settings: Settings) -> int:
    """One process alone, one of several, or the one that keeps several."""
    if settings.gateway_processes == 1 or settings.process:
        await _serve(settings)
        return 0
    if settings.embedded:
        named = ", ".join(settings.embedded)
        raise SettingsError(f"{named}: more than one GATEWAY_PROCESSES need one that processes can share")
    return await _serve_together(settings)


async def _serve_together(settings: Settings) -> int:
    """The port is this gateway's own, though its processes share it: nobody else is to have it."""
    stop = told_to_stop()
    bind(settings.http_host, settings.http_port, name="HTTP_PORT").close()
    with bind(settings.http_host, settings.http_port, name="HTTP_PORT", shared=True) as kept:
        status = await run_processes(
            settings,
            port=kept.getsockname()[1],
            stop=stop,
            announce=lambda said: _tell(settings, json.loads(said.read_bytes())),
        )
    log.info("gateway.stopped")
    return status


async def _serve(settings: Settings) -> None:
    """One of several ends with the one that keeps them."""
    stop = told_to_stop()
    if settings.process:
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    with bind(
        settings.http_host, settings.http_port, name="HTTP_PORT", shared=bool(settings.process)
    ) as listening:
        async with open_backends(settings) as (backends, face):
            await _recall(backends)
            await _run_until(stop, backends, listening, face)
    log.info("gateway.stopped")


async def _recall(backends: Backends) -> None:
    """A ledger that is away keeps nobody from starting: then what calls usually take is learned anew."""
    try:
        await recall_durations(backends)
    except Problem as problem:
        log.warning("durations.not_recalled", why=problem.detail)


async def _run_until(
    stop: asyncio.Event, backends: Backends, listening: socket.socket, face: StoreFace | None
) -> None:
    """The loops start before the first request and end after the last one. One that breaks ends all."""
    async with asyncio.TaskGroup() as tasks:
        site = build_site(backends)
        loops = [tasks.create_task(_keep_durations(backends))]
        if site.measure_files is not None:
            loops.append(tasks.create_task(_keep_measures(site.measure_files)))
        if backends.settings.embedded:
            loops.append(tasks.create_task(work(backends)))
        async with AsyncExitStack() as faces:
            if face is not None:
                face.listen(partial(_accept, backends))
                await faces.enter_async_context(serving(face.app, face.listening, backends.settings))
            await faces.enter_async_context(serving(build_app(backends, site), listening, backends.settings))
            _announce_endpoints(backends, url_of(listening))
            await stop.wait()
            log.info("gateway.stopping")
            # Who is held for a job that goes on is told where its answer will be, while there is time for it.
            asyncio.get_running_loop().call_later(backends.settings.stop_grace_s / 2, backends.ends.give_up)
        for loop in loops:
            loop.cancel()


async def _keep_durations(backends: Backends) -> None:
    await repeat(partial(keep_durations, backends), every_s=KEEP_EVERY_S, name="keep_durations")


async def _keep_measures(files: MeasureFiles) -> None:
    await repeat(files.keep, every_s=KEEP_MEASURES_S, name="keep_measures")


async def _accept(backends: Backends, stored: StoredObject, notice: bytes) -> None:
    """An object was created in the embedded store: the event, without the way over the network."""
    await accept_objects(backends, [(stored, notice)], cause=Cause.EVENT)


def _announce_endpoints(backends: Backends, url: str) -> None:
    settings, provider = backends.settings, backends.objects.provider
    endpoints = {
        "url": settings.public_url or url,
        "username": settings.oscar_username,
        "password": settings.oscar_password,
        "s3": provider.endpoint,
        "access_key": provider.access_key,
        "secret_key": provider.secret_key,
    }
    _tell(settings, endpoints)


def _tell(settings: Settings, endpoints: dict[str, str]) -> None:
    """Where everything is: people on stdout, programs in `<DATA_DIR>/endpoints.json`. One of several
    processes tells the one that keeps them alone."""
    replace_file(settings.own_dir / "endpoints.json", json.dumps(endpoints).encode())
    if settings.log_format == "console" and not settings.process:
        lines = [f"  {name:<11} {value}" for name, value in endpoints.items()]
        print("\n".join(["oscar-gateway serves", *lines]), flush=True)  # noqa: T201


if __name__ == "__main__":
    asked = read_command_line(sys.argv[1:])
    sys.exit(run_process("oscar-gateway", _main, given=asked.given, process=asked.process))
