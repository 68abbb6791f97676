"""Announcing accepted jobs in the background: the ledger has them, so that nobody who was promised one waits
for the queue. What is not announced here, since the queue is away, full or slow, is left to the sweep.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from gateway.backends.queue.protocol import Queue
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""A broker confirms many messages together: one after the other each would wait for its own disk write."""
WAITING_LIMIT = 10_000
"""Jobs that wait to be announced while the queue takes its time."""
TOLD_S = 10.0
"""Between two log lines that announcements are left to the sweep: a crowd of jobs is one piece of news."""
CLOSE_S = 2.0
"""How long what waits may still take when we are told to stop."""


class Announcer:
    """`soon` for any number of callers, `run` for the one task that publishes."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: deque[JobId] = deque()
        self._news = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._finished = False
        self._postponed = 0
        """Since the last log line of them."""
        self._tell_again = 0.0

    def soon(self, jobs: Iterable[JobId]) -> None:
        """Announce each job, in about this order. Raises nothing, and waits for nothing."""
        for job in jobs:
            if self._finished or len(self._waiting) >= WAITING_LIMIT:
                self._postpone(1, why="too many wait to be announced, or this process ends")
            else:
                self._waiting.append(job)
                self._news.set()

    async def run(self) -> None:
        """Until `finish`; what was to be announced before that still is."""
        async with asyncio.TaskGroup() as tasks:
            while self._waiting or not self._finished:
                await self._news.wait()
                if not self._finished:
                    self._news.clear()
                while self._waiting:
                    await self._places.acquire()
                    # None is left if the queue refused others meanwhile.
                    if self._waiting:
                        tasks.create_task(self._publish(self._waiting.popleft()))
                    else:
                        self._places.release()

    def finish(self) -> None:
        self._finished = True
        self._news.set()

    async def _publish(self, job: JobId) -> None:
        try:
            await self._queue.publish(job)
        except Unavailable as problem:
            # A queue that is away is met by those under way, not by all.
            self._postpone(1 + len(self._waiting), why=problem.detail)
            self._waiting.clear()
        except Exception:
            # Of one job, not of the process: the sweep meets it again.
            log.exception("announcement.broke", job=job)
        finally:
            self._places.release()

    def _postpone(self, jobs: int, *, why: str) -> None:
        self._postponed += jobs
        now = asyncio.get_running_loop().time()
        if now >= self._tell_again:
            log.warning("announcements.postponed", jobs=self._postponed, why=why)
            self._postponed, self._tell_again = 0, now + TOLD_S


@asynccontextmanager
async def open_announcer(queue: Queue) -> AsyncIterator[Announcer]:
    """Announcing until it is closed, which lets it finish what waits, for CLOSE_S."""
    announcer = Announcer(queue)
    running = asyncio.create_task(announcer.run(), name="queue.announcing")
    try:
        yield announcer
    finally:
        announcer.finish()
        await asyncio.wait([running], timeout=CLOSE_S)
        running.cancel()
        await asyncio.wait([running])
