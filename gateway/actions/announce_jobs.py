"""Announce jobs on the queue, and tell how many it took: for the sweep and the gate. New ones are announced
in the background (gateway/backends/queue/announcing.py)."""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from gateway.backends.connect import Backends
from gateway.backends.queue.announcing import AT_ONCE
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable

log = structlog.get_logger(__name__)


async def announce_jobs(backends: Backends, jobs: Iterable[JobId]) -> int:
    """Publish each job's id, in about this order; how many of the first ones were. Stops soon after one that
    the queue does not take; never raises for the queue."""
    waiting = list(jobs)
    published = 0
    size = 1  # a queue that is away is met by one, not by all
    while published < len(waiting):
        together = waiting[published : published + size]
        taken = await _announce(backends, together)
        published += taken
        if taken < len(together):
            break
        size = AT_ONCE
    return published


async def _announce(backends: Backends, together: Sequence[JobId]) -> int:
    """How many were, up to the first that was not."""
    if len(together) == 1:
        refused = [await _refusal(backends, together[0])]
    else:
        async with asyncio.TaskGroup() as tasks:
            publishing = [tasks.create_task(_refusal(backends, job)) for job in together]
        refused = [task.result() for task in publishing]
    for place, why in enumerate(refused):
        if why:
            log.warning("announcement.postponed", job=together[place], why=why)
            return place
    return len(together)


async def _refusal(backends: Backends, job: JobId) -> str:
    """Why the queue did not take it, or ""."""
    try:
        await backends.queue.publish(job)
    except Unavailable as problem:
        return problem.detail
    return ""
