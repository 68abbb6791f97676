"""The queue: which job is to be worked on next.

A message carries a job's id, never the job; it may come more than once and out of order, since claiming in
the ledger makes a repeat harmless.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.domain.job import JobId


class Delivery(Protocol):
    """A message in a worker's hands: seconds, never a job's life."""

    @property
    def job(self) -> JobId: ...

    async def ack(self) -> None:
        """Done with it: what it said is in the ledger."""
        ...

    async def give_back(self) -> None:
        """Not done: it comes again, to any worker."""
        ...


class Queue(Protocol):
    async def publish(self, job: JobId) -> None:
        """Returns when the queue has it; an id that waits already may be kept once.

        Raises Unavailable, at the latest after 5 s; then the queue may or may not have it.
        """
        ...

    def deliveries(self, *, prefetch: int) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Deliveries, at most `prefetch` in our hands at a time. Leaving gives back what was not acked."""
        ...

    async def depth(self) -> int:
        """How many messages wait."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable with the reason."""
        ...
