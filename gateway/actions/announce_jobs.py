"""Announce accepted jobs on the queue. The ledger has them already: an announcement that fails is made
later by the sweep."""

from collections.abc import Iterable

import structlog

from gateway.backends.connect import Backends
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable

log = structlog.get_logger(__name__)


async def announce_jobs(backends: Backends, jobs: Iterable[JobId]) -> int:
    """Publish each job's id; how many were. Stops at the first that the queue does not take; never raises
    for the queue."""
    published = 0
    for job in jobs:
        try:
            await backends.queue.publish(job)
        except Unavailable as problem:
            log.warning("announcement.postponed", job=job, why=problem.detail)
            break
        published += 1
    return published
