"""Who waits for a job's end in this process: the ledger is asked for all of them at once.

Right whoever settles the job, in which process ever. Gives up the last moment: an end is seen up to a tick
later.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from gateway.domain.job import JobId
from gateway.domain.problems import Problem

TICK_S = 0.05
LONGEST_TICK_S = 1.0
SHARE = 0.05
"""Of the time that may be spent asking: the longer an answer takes, the rarer it is asked for."""

log = structlog.get_logger()


class Asked(Protocol):
    """What is needed of the ledger."""

    async def over(self, jobs: Collection[JobId]) -> frozenset[JobId]: ...


class Ends:
    """`reached` for any number of waiters, `run` for the one task that asks."""

    def __init__(self, ledger: Asked) -> None:
        self._ledger = ledger
        self._awaited: dict[JobId, set[asyncio.Event]] = {}
        self._somebody = asyncio.Event()

    async def reached(self, job: JobId, *, within_s: float) -> bool:
        """Whether the job became final, or was removed, within that time. A ledger that is away meanwhile is
        waited for."""
        end = asyncio.Event()
        self._awaited.setdefault(job, set()).add(end)
        self._somebody.set()
        try:
            async with asyncio.timeout(within_s):
                return await end.wait()
        except TimeoutError:
            return False
        finally:
            self._leave(job, end)

    async def run(self) -> None:
        """For ever; asks only while somebody waits."""
        while True:
            await self._somebody.wait()
            began = time.monotonic()
            await self._ask()
            took_s = time.monotonic() - began
            await asyncio.sleep(min(max(TICK_S, took_s / SHARE), LONGEST_TICK_S))

    async def _ask(self) -> None:
        try:
            over = await self._ledger.over(tuple(self._awaited))
        except Problem as problem:
            log.debug("ends.not_asked", reason=problem.detail)
            return
        for job in over:
            for end in self._awaited.get(job, ()):
                end.set()

    def _leave(self, job: JobId, end: asyncio.Event) -> None:
        waiters = self._awaited[job]
        waiters.discard(end)
        if not waiters:
            del self._awaited[job]
        if not self._awaited:
            self._somebody.clear()


@asynccontextmanager
async def open_ends(ledger: Asked) -> AsyncIterator[Ends]:
    """Asking until it is closed; who still waits then sees no end."""
    ends = Ends(ledger)
    asking = asyncio.create_task(ends.run(), name="ledger.ends")
    try:
        yield ends
    finally:
        asking.cancel()
        await asyncio.wait([asking])
