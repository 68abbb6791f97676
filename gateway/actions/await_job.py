"""Await a job's end, whoever settles it. However many wait: the ledger is asked for all of them at once."""

import time

from gateway.backends.connect import Backends
from gateway.domain.job import Job, JobId


async def await_job(backends: Backends, job_id: JobId, *, within_s: float) -> Job:
    """The job once it is final, or as it is after that time. Raises NotFound, also if it is removed
    meanwhile, Unavailable."""
    deadline = time.monotonic() + within_s
    job = await backends.ledger.job(job_id)
    left_s = deadline - time.monotonic()
    if job.final or left_s <= 0:
        return job
    del job  # thousands may wait
    await backends.ends.reached(job_id, within_s=left_s)
    return await backends.ledger.job(job_id)
