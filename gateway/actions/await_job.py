"""Await a job's end. Asks the ledger again and again, which is right whoever settles the job, in which
process ever."""

import asyncio
import time

from gateway.backends.connect import Backends
from gateway.domain.job import Job, JobId

FIRST_WAIT_S = 0.02
LONGEST_WAIT_S = 1.0


async def await_job(backends: Backends, job_id: JobId, *, within_s: float) -> Job:
    """The job once it is final, or as it is after that time. Raises NotFound, also if it is removed
    meanwhile, Unavailable."""
    deadline = time.monotonic() + within_s
    wait_s = FIRST_WAIT_S
    while True:
        job = await backends.ledger.job(job_id)
        left_s = deadline - time.monotonic()
        if job.final or left_s <= 0:
            return job
        await asyncio.sleep(min(wait_s, left_s))
        wait_s = min(wait_s * 1.5, LONGEST_WAIT_S)
