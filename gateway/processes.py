"""Processes: several gateways on one port, started one after the other, started again when they die, ended
together. Serves nothing itself and opens no part.

Each listens by a socket of its own (SO_REUSEPORT): the kernel spreads connections more evenly than processes
do that accept from one socket (docs/performance.md), and whoever died is asked nothing from that moment.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.settings import Settings

log = structlog.get_logger(__name__)

PAUSE_S = 0.1
"""Before who died is started again; doubled each time."""
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""Who lived that long did not die of its start."""
CLOSING_S = 20.0
"""How long one may take to end after its grace, before it is killed."""
LOOK_S = 0.05


async def run_processes(
    settings: Settings, *, port: int, stop: asyncio.Event, announce: Callable[[Path], None]
) -> int:
    """Until `stop`, or until one ends at its start while no other serves. The worst exit status of those that
    ran at the end. `announce` is given the file in which the first one says where it serves."""
    return await _Processes(settings, port, stop, announce).run()


class _Processes:
    def __init__(
        self, settings: Settings, port: int, stop: asyncio.Event, announce: Callable[[Path], None]
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._announce = announce
        self._serving: set[int] = set()
        self._begun = asyncio.Event()
        self._worst = 0
        # Who reads its end sees when this process is no more.
        self._life, self._hold = os.pipe()
        self._environment = {
            **os.environ,
            "HTTP_PORT": str(port),
            "GATEWAY_PROCESSES": str(settings.gateway_processes),
        }

    async def run(self) -> int:
        """The first one alone: it brings the ledger up to date, and says what keeps all of them from
        serving."""
        for counted in self._settings.data_dir.glob("processes/*/measures.json"):
            counted.unlink()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep(1))
                await self._begun.wait()
                for number in range(2, self._settings.gateway_processes + 1):
                    tasks.create_task(self._keep(number))
        finally:
            os.close(self._hold)
            os.close(self._life)
        return self._worst

    async def _keep(self, number: int) -> None:
        pause_s = PAUSE_S
        while not self._stop.is_set():
            began = time.monotonic()
            status, served = await self._run(number)
            if self._stop.is_set() or not (served or self._serving):
                self._worst = max(self._worst, status)
                self._stop.set()
                break
            if time.monotonic() - began > STEADY_S:
                pause_s = PAUSE_S
            log.warning("process.died", process=number, status=status, again_in_s=pause_s)
            await _passes(self._stop, within_s=pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._begun.set()

    async def _run(self, number: int) -> tuple[int, bool]:
        """Its exit status, as a shell would say it, and whether it came to serve."""
        said = self._settings.dir_of(number) / "endpoints.json"
        with suppress(FileNotFoundError, NotADirectoryError):
            said.unlink()
        command = [sys.executable, "-m", "gateway", "--process", str(number)]
        child = await asyncio.create_subprocess_exec(*command, stdin=self._life, env=self._environment)
        log.info("process.started", process=number, pid=child.pid)
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(self._look(number, said)), tasks.create_task(self._end(child))]
            status = await child.wait()
            for task in beside:
                task.cancel()
        served = number in self._serving
        self._serving.discard(number)
        if status == -signal.SIGTERM and self._stop.is_set():
            return 0, served  # it was told before it could listen to it
        return (128 - status if status < 0 else status), served

    async def _look(self, number: int, said: Path) -> None:
        while not said.exists():  # noqa: ASYNC110 - a file is what a process of its own can leave
            await asyncio.sleep(LOOK_S)
        self._serving.add(number)
        if not self._begun.is_set():
            self._announce(said)
            self._begun.set()

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        """Once all are to stop: as it wants to, then whether it wants to or not."""
        await self._stop.wait()
        child.terminate()
        await asyncio.sleep(self._settings.stop_grace_s + CLOSING_S)
        log.error("process.killed", pid=child.pid)
        child.kill()


async def _passes(event: asyncio.Event, *, within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
