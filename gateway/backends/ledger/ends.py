"""Jobs' ends, for whoever waits for them in this process.

An end that this process brought about is told by who did it. For the others the ledger is asked what ended of
late, which costs the same however many wait. That is by the clocks of who settles jobs, in transactions that
may take long: now and then it is asked for everybody who waits.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from gateway.backends.ledger.waiters import Told, Waiters
from gateway.domain.job import JobId
from gateway.domain.problems import Problem

TICK_S = 0.05
LONGEST_TICK_S = 1.0
SHARE = 0.05
"""Of the time that may be spent asking what ended: the longer an answer takes, the rarer it is asked for."""
OVERLAP = timedelta(seconds=2)
"""How far before the last question the next begins: a clock may be so late, a commit take so long."""
ALL_TICK_S = 1.0
ALL_LONGEST_TICK_S = 15.0
ALL_SHARE = 0.01
"""The same for asking for everybody."""

log = structlog.get_logger()


class Asked(Protocol):
    """What is needed of the ledger."""

    async def ended(self, since: datetime) -> frozenset[JobId]: ...

    async def over(self, jobs: Collection[JobId]) -> frozenset[JobId]: ...


class Ends:
    """`expect` and `reached` for any number of waiters, `tell` for who ends jobs, `run` for the one task that
    asks. A ledger that is away is waited for."""

    def __init__(self, ledger: Asked, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now
        self._waiters = Waiters()

    def expect(self, job: JobId, told: Told, *, within_s: float) -> None:
        """Calls `told` when the job becomes final, or is removed, or after that time and a little more;
        unless it is withdrawn by then."""
        self._waiters.add(job, told, within_s=within_s)

    def withdraw(self, job: JobId, told: Told) -> None:
        """Fine if it was called already."""
        self._waiters.withdraw(job, told)

    def tell(self, job: JobId) -> None:
        """The ledger has its end."""
        self._waiters.tell(job)

    def give_up(self) -> None:
        """Nobody is to wait any longer: this process ends."""
        self._waiters.give_up()

    async def reached(self, job: JobId, *, within_s: float) -> bool:
        """Whether the job became final, or was removed, within that time."""
        end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def told(ended: bool) -> None:
            # One that was cancelled has not withdrawn yet.
            if not end.done():
                end.set_result(ended)

        self.expect(job, told, within_s=within_s)
        try:
            return await end
        finally:
            self.withdraw(job, told)

    async def run(self) -> None:
        """For ever; asks only while somebody waits."""
        since, all_due = self._now(), 0.0
        while True:
            if not self._waiters.awaited:
                await self._waiters.somebody.wait()
                since = self._now()
            began, asking = time.monotonic(), self._now()
            if await self._told_of(self._ledger.ended(since - OVERLAP)):
                since = asking
            next_in_s = _rest_s(began, SHARE, TICK_S, LONGEST_TICK_S)
            asked = time.monotonic()
            if asked >= all_due and self._waiters.awaited:
                await self._told_of(self._ledger.over(tuple(self._waiters.awaited)))
                all_due = time.monotonic() + _rest_s(asked, ALL_SHARE, ALL_TICK_S, ALL_LONGEST_TICK_S)
            await asyncio.sleep(next_in_s)

    async def _told_of(self, ended: Awaitable[frozenset[JobId]]) -> bool:
        """Whether the ledger could be asked."""
        try:
            for job in await ended:
                self.tell(job)
        except Problem as problem:
            log.debug("ends.not_asked", reason=problem.detail)
            return False
        return True


def _rest_s(began: float, share: float, least_s: float, most_s: float) -> float:
    """How long not to ask again, so that what began then takes no more than this share of the time."""
    return min(max((time.monotonic() - began) / share, least_s), most_s)


@asynccontextmanager
async def open_ends(ledger: Asked, *, now: Callable[[], datetime]) -> AsyncIterator[Ends]:
    """Asking until it is closed; who still waits then sees no end."""
    ends = Ends(ledger, now)
    asking = asyncio.create_task(ends.run(), name="ledger.ends")
    try:
        yield ends
    finally:
        asking.cancel()
        await asyncio.wait([asking])
