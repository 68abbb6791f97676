"""Many who wait for jobs' ends: all of them see theirs, and the ledger is asked once for all."""

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, event

from gateway.backends.ledger.ends import TICK_S, open_ends
from gateway.backends.ledger.protocol import Ledger
from gateway.domain.job import Cause, JobId, NewJob, Payload
from gateway.domain.problems import Unavailable
from tests.polling import until

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WAITERS = 5000


@contextmanager
def selects() -> Iterator[list[str]]:
    """Every question sent to a database meanwhile."""
    heard: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            heard.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def accepted(ledger: Ledger, count: int) -> list[JobId]:
    names = [JobId(f"grey-{number}") for number in range(count)]
    new = [NewJob(name, "grey", "u", Cause.HELD, "ada", payload=Payload(1, b"x")) for name in names]
    await ledger.accept(new, now=NOW)
    return names


async def test_thousands_of_waiters_cost_one_question_a_tick_and_see_their_ends(ledger: Ledger) -> None:
    jobs = await accepted(ledger, WAITERS)
    async with open_ends(ledger) as ends, asyncio.TaskGroup() as tasks:
        waits = [tasks.create_task(ends.reached(job, within_s=20)) for job in jobs]
        with selects() as heard:
            began = time.monotonic()
            await until(lambda: _heard(heard, 3))
            assert len(heard) <= 2 + (time.monotonic() - began) / TICK_S
        assert not any(wait.done() for wait in waits)
        for job in jobs[::1000]:
            await ledger.cancel(job, reason="", now=NOW)
        assert await asyncio.gather(*waits[::1000]) == [True] * 5
        assert sum(wait.done() for wait in waits) == 5
        for wait in waits:
            wait.cancel()


async def _heard(heard: Collection[str], count: int) -> bool:
    return len(heard) >= count


async def test_nobody_waiting_means_nothing_is_asked(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    async with open_ends(ledger) as ends:
        assert not await ends.reached(job, within_s=0.01)
        with selects() as heard:
            await asyncio.sleep(3 * TICK_S)  # long enough for three questions
        # One may have been under way.
        assert len(heard) <= 1


async def test_everybody_who_waits_for_a_job_sees_its_end_and_a_removed_one_has_ended(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    async with open_ends(ledger) as ends, asyncio.timeout(10):
        waits = [asyncio.ensure_future(ends.reached(job, within_s=9)) for _ in range(3)]
        gone = asyncio.ensure_future(ends.reached(JobId("grey-none"), within_s=9))
        assert await gone
        waits[0].cancel()
        await ledger.cancel(job, reason="", now=NOW)
        assert await asyncio.gather(*waits[1:]) == [True, True]


async def test_a_ledger_that_is_away_is_waited_for(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    away = Away(ledger)
    async with open_ends(away) as ends:
        waiting = asyncio.ensure_future(ends.reached(job, within_s=9))
        await ledger.cancel(job, reason="", now=NOW)
        await until(lambda: _heard(away.refused, 2))
        assert not waiting.done()
        away.back = True
        assert await waiting


class Away:
    """A ledger that cannot be asked until it is back."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.refused: list[JobId] = []
        self.back = False

    async def over(self, jobs: Collection[JobId]) -> frozenset[JobId]:
        if self.back:
            return await self._ledger.over(jobs)
        self.refused += jobs
        raise Unavailable("away", retry_after_s=1)
