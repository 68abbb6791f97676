"""Many who wait for jobs' ends: all of them see theirs soon, and asking costs little."""

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine, event

from gateway.backends.ledger.ends import ALL_TICK_S, LONGEST_TICK_S, OVERLAP, TICK_S, open_ends
from gateway.backends.ledger.protocol import Ledger
from gateway.domain.job import Cause, JobId, NewJob, Payload
from gateway.domain.problems import Unavailable
from tests.polling import until

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WAITERS = 5000


def clock() -> datetime:
    return NOW


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


async def settled(ledger: Ledger, job: JobId, *, now: datetime = NOW) -> None:
    await ledger.cancel(job, reason="", now=now)


async def test_thousands_of_waiters_cost_one_small_question_a_tick_and_see_their_ends(ledger: Ledger) -> None:
    jobs = await accepted(ledger, WAITERS)
    async with open_ends(ledger, now=clock) as ends, asyncio.TaskGroup() as tasks:
        waits = [tasks.create_task(ends.reached(job, within_s=20)) for job in jobs]
        with selects() as heard:
            began = time.monotonic()
            await until(lambda: _heard(heard, 6))
            passed_s = time.monotonic() - began
        for_all = [one for one in heard if "json_each" in one]
        assert len(heard) - len(for_all) <= 2 + passed_s / TICK_S
        assert len(for_all) <= 2 + passed_s / ALL_TICK_S
        assert not any(wait.done() for wait in waits)
        for job in jobs[::1000]:
            await settled(ledger, job)
        began = time.monotonic()
        assert await asyncio.gather(*waits[::1000]) == [True] * 5
        assert time.monotonic() - began < LONGEST_TICK_S
        assert sum(wait.done() for wait in waits) == 5
        for wait in waits:
            wait.cancel()


async def test_an_end_told_in_this_process_is_seen_without_asking(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    away = Away(ledger)
    async with open_ends(away, now=clock) as ends, asyncio.timeout(5):
        waits = [asyncio.ensure_future(ends.reached(job, within_s=9)) for _ in range(2)]
        await until(lambda: _heard(away.refused, 1))
        ends.tell(job)
        assert await asyncio.gather(*waits) == [True, True]


async def test_an_end_of_a_clock_far_behind_is_seen_a_little_later(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    async with open_ends(ledger, now=clock) as ends, asyncio.timeout(9):
        waiting = asyncio.ensure_future(ends.reached(job, within_s=8))
        await settled(ledger, job, now=NOW - timedelta(hours=1))
        assert await waiting


async def test_an_end_while_the_ledger_was_away_is_seen_when_it_is_back(ledger: Ledger) -> None:
    """However long it was: the next question begins where the last answer ended."""
    (job,) = await accepted(ledger, 1)
    away, now = Away(ledger), NOW
    async with open_ends(away, now=lambda: now) as ends, asyncio.timeout(9):
        waiting = asyncio.ensure_future(ends.reached(job, within_s=8))
        await until(lambda: _heard(away.refused, 1))
        await settled(ledger, job)
        now += timedelta(minutes=10)
        await until(lambda: _heard(away.refused, 3))
        assert not waiting.done()
        assert set(away.refused) == {NOW - OVERLAP}
        away.back, away.all_known = True, False
        assert await waiting


async def test_a_waiter_that_goes_leaves_nothing_and_one_whose_time_is_over_is_told(ledger: Ledger) -> None:
    jobs = await accepted(ledger, 3)
    heard: list[tuple[int, bool]] = []

    async def told(number: int) -> bool:
        return number in dict(heard)

    async with open_ends(ledger, now=clock) as ends:
        hears = [partial(_note, heard, number) for number in range(3)]
        ends.expect(jobs[0], hears[0], within_s=60)
        ends.expect(jobs[1], hears[1], within_s=0.01)
        ends.expect(jobs[2], hears[2], within_s=60)
        ends.withdraw(jobs[2], hears[2])
        ends.tell(jobs[2])
        await until(lambda: told(1))
        await settled(ledger, jobs[0])
        await until(lambda: told(0))
        ends.withdraw(jobs[0], hears[0])
    assert heard == [(1, False), (0, True)]


async def test_when_nobody_is_to_wait_any_longer_all_are_told_and_those_who_come_too(ledger: Ledger) -> None:
    jobs = await accepted(ledger, 2)
    async with open_ends(ledger, now=clock) as ends, asyncio.timeout(5):
        waiting = asyncio.ensure_future(ends.reached(jobs[0], within_s=60))
        await asyncio.sleep(0)
        ends.give_up()
        assert not await waiting
        assert not await ends.reached(jobs[1], within_s=60)


def _note(heard: list[tuple[int, bool]], number: int, ended: bool) -> None:
    heard.append((number, ended))


async def _heard(heard: Sequence[object], count: int) -> bool:
    return len(heard) >= count


async def test_nobody_waiting_means_nothing_is_asked(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    async with open_ends(ledger, now=clock) as ends:
        assert not await ends.reached(job, within_s=0.01)
        with selects() as heard:
            await asyncio.sleep(3 * TICK_S)  # long enough for three questions
        # One may have been under way.
        assert len(heard) <= 1


async def test_everybody_who_waits_for_a_job_sees_its_end_and_a_removed_one_has_ended(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    async with open_ends(ledger, now=clock) as ends, asyncio.timeout(10):
        waits = [asyncio.ensure_future(ends.reached(job, within_s=9)) for _ in range(3)]
        gone = asyncio.ensure_future(ends.reached(JobId("grey-none"), within_s=9))
        assert await gone
        waits[0].cancel()
        await settled(ledger, job)
        assert await asyncio.gather(*waits[1:]) == [True, True]


async def test_a_ledger_that_is_away_is_waited_for(ledger: Ledger) -> None:
    (job,) = await accepted(ledger, 1)
    away = Away(ledger)
    async with open_ends(away, now=clock) as ends:
        waiting = asyncio.ensure_future(ends.reached(job, within_s=9))
        await ledger.cancel(job, reason="", now=NOW)
        await until(lambda: _heard(away.refused, 2))
        assert not waiting.done()
        away.back = True
        assert await waiting


class Away:
    """A ledger that cannot be asked until it is back; and then, if not `all_known`, not for everybody."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.refused: list[datetime] = []
        self.back = False
        self.all_known = True

    async def ended(self, since: datetime) -> frozenset[JobId]:
        if self.back:
            return await self._ledger.ended(since)
        self.refused.append(since)
        raise Unavailable("away", retry_after_s=1)

    async def over(self, jobs: Collection[JobId]) -> frozenset[JobId]:
        if self.back and self.all_known:
            return await self._ledger.over(jobs)
        raise Unavailable("away", retry_after_s=1)
