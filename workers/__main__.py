"""A worker's process: takes deliveries, launches attempts, settles them, sweeps and reconciles. Any number of
them share one broker, ledger, registry and store; answers probes, nothing else, over HTTP.

Order of stopping: the loops end (what is in hand is given back), the probes end, the backends close.
"""

import asyncio
import sys

import structlog

from gateway.backends.connect import bind, open_backends
from gateway.serving import run_process, serving, told_to_stop
from gateway.settings import Settings, SettingsError
from workers.loops import work
from workers.probes import Probes

log = structlog.get_logger(__name__)


async def _work(settings: Settings) -> None:
    """Raises SettingsError where a part is embedded in one gateway, which then does the work itself."""
    if settings.embedded:
        named = ", ".join(settings.embedded)
        raise SettingsError(f"{named}: a worker of its own needs one that processes can share")
    stop = told_to_stop()
    with bind(settings.http_host, settings.http_port, name="HTTP_PORT") as listening:
        async with (
            open_backends(settings) as (backends, _),
            serving(Probes(backends), listening, settings),
            asyncio.TaskGroup() as tasks,
        ):
            loops = tasks.create_task(work(backends))
            log.info("worker.started")
            await stop.wait()
            log.info("worker.stopping")
            loops.cancel()
    log.info("worker.stopped")


if __name__ == "__main__":
    sys.exit(run_process("oscar-gateway worker", _work))
