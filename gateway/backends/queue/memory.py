"""The queue inside this process: first come, first served, each waiting id once.

Gives up durability: what waits is gone with the process, and announced from the ledger at the next start.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.backends.queue.protocol import Delivery
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable


class MemoryQueue:
    """Ids wait in `_waiting`, or else idle consumers in `_idle`: never both."""

    def __init__(self, *, limit: int = 100_000) -> None:
        self._limit = limit
        self._waiting: dict[JobId, None] = {}
        self._idle: deque[asyncio.Future[JobId]] = deque()

    async def publish(self, job: JobId) -> None:
        if len(self._waiting) >= self._limit and job not in self._waiting:
            raise Unavailable(
                f"{self._limit} messages wait in the queue, which is the limit", retry_after_s=1
            )
        self.put(job)

    @asynccontextmanager
    async def deliveries(self, *, prefetch: int) -> AsyncIterator[AsyncIterator[Delivery]]:
        consumer = _Consumer(self, prefetch)
        try:
            yield consumer
        finally:
            consumer.leave()

    async def depth(self) -> int:
        return len(self._waiting)

    async def ready(self) -> None:
        """Always: it is in this process."""

    def put(self, job: JobId) -> None:
        """To the consumer that has been idle longest, or else to the end of the line, if it is not in it."""
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(job)
                return
        self._waiting[job] = None

    async def take(self) -> JobId:
        """The first in line, when there is one. Cancelled, it takes nothing along."""
        # Consumers take turns: one that never waits for anything else would have all of them.
        await asyncio.sleep(0)
        if self._waiting:
            job = next(iter(self._waiting))
            del self._waiting[job]
            return job
        idle: asyncio.Future[JobId] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        try:
            return await idle
        except asyncio.CancelledError:
            if idle.done() and not idle.cancelled():
                self.put(idle.result())
            raise


class _Consumer:
    """One worker's deliveries: an iterator that waits while `prefetch` of them are in its hands."""

    def __init__(self, queue: MemoryQueue, prefetch: int) -> None:
        self._queue = queue
        self._free = asyncio.Semaphore(prefetch)
        self._in_hand: dict[_Delivery, None] = {}

    def __aiter__(self) -> "_Consumer":
        return self

    async def __anext__(self) -> Delivery:
        await self._free.acquire()
        try:
            job = await self._queue.take()
        except BaseException:
            self._free.release()
            raise
        delivery = _Delivery(job, self)
        self._in_hand[delivery] = None
        return delivery

    def let_go(self, delivery: "_Delivery", *, done: bool) -> None:
        """Once for each delivery: a second word about it, or one after leaving, comes too late."""
        if delivery not in self._in_hand:
            return
        del self._in_hand[delivery]
        self._free.release()
        if not done:
            self._queue.put(delivery.job)

    def leave(self) -> None:
        for delivery in list(self._in_hand):
            self.let_go(delivery, done=False)


class _Delivery:
    def __init__(self, job: JobId, consumer: _Consumer) -> None:
        self._job = job
        self._consumer = consumer

    @property
    def job(self) -> JobId:
        return self._job

    async def ack(self) -> None:
        self._consumer.let_go(self, done=True)

    async def give_back(self) -> None:
        self._consumer.let_go(self, done=False)
