"""Dispatch holds what it cannot do, and finishes what it has begun."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.connect import Backends
from gateway.backends.launcher.protocol import Order
from gateway.domain.job import Job, JobId, JobState
from gateway.domain.problems import Unavailable
from tests.api.gateway_rig import Gateway, open_gateway
from tests.polling import until
from workers.dispatch import PREFETCH, dispatch


class Wrapped:
    """A part, with some of its methods replaced."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)


class ShakyLedger(Wrapped):
    """Away as long as it is told to be."""

    away = True
    asked = 0

    async def job(self, job: JobId) -> Job:
        self.asked += 1
        self._require_there()
        found: Job = await self.part.job(job)
        return found

    async def ready(self) -> None:
        self._require_there()

    def _require_there(self) -> None:
        if self.away:
            raise Unavailable("the ledger is away")


class BrokenLedger(Wrapped):
    """Breaks over one job, in a way nobody thought of."""

    def __init__(self, part: Any, job: JobId) -> None:
        super().__init__(part)
        self._job = job

    async def job(self, job: JobId) -> Job:
        if job == self._job:
            raise ZeroDivisionError
        found: Job = await self.part.job(job)
        return found


class SlowLauncher(Wrapped):
    """Takes its time to launch."""

    def __init__(self, part: Any) -> None:
        super().__init__(part)
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def launch(self, order: Order) -> None:
        self.begun.set()
        await self.go_on.wait()
        await self.part.launch(order)


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("worked", "true")
        yield gateway


@asynccontextmanager
async def dispatching(backends: Backends) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(dispatch(backends))
        yield task
        task.cancel()


async def state(gateway: Gateway, job: str) -> JobState:
    return (await gateway.backends.ledger.job(JobId(job))).state


async def test_deliveries_are_held_while_the_ledger_is_away_and_worked_on_after(idle: Gateway) -> None:
    ledger: Any = ShakyLedger(idle.backends.ledger)
    jobs = [await idle.submit("worked") for _ in range(PREFETCH + 4)]

    async def asked() -> bool:
        return bool(ledger.asked >= PREFETCH)

    async def launched() -> bool:
        return all([await state(idle, job) is not JobState.QUEUED for job in jobs])

    async with dispatching(replace(idle.backends, ledger=ledger)):
        await until(asked)
        # As many as one worker may have in hand: none of the others was taken to be given back again.
        assert (ledger.asked, await idle.backends.queue.depth()) == (PREFETCH, 4)
        ledger.away = False
        await until(launched)


async def test_a_job_that_breaks_the_worker_does_not_take_its_neighbours_along(idle: Gateway) -> None:
    bad, good = JobId(await idle.submit("worked")), await idle.submit("worked")
    ledger: Any = BrokenLedger(idle.backends.ledger, bad)

    async def launched() -> bool:
        return await state(idle, good) is not JobState.QUEUED

    async def left() -> bool:
        return await state(idle, bad) is JobState.STARTING

    async with dispatching(replace(idle.backends, ledger=ledger)) as task:
        await until(launched)
        # Left like a claim without a worker: taken over again and again, and abandoned at last.
        await until(left)
        assert not task.done()


async def test_a_launch_under_way_is_finished_before_the_stop_and_acknowledged(idle: Gateway) -> None:
    launcher: Any = SlowLauncher(idle.backends.launcher)
    job = await idle.submit("worked")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(dispatch(replace(idle.backends, launcher=launcher)))
        await launcher.begun.wait()
        task.cancel()
        launcher.go_on.set()
    assert await state(idle, job) is JobState.RUNNING
    assert await idle.backends.queue.depth() == 0
