"""Cancel a job, wherever it is: before it starts at once, while it runs by ending its script."""

from gateway.backends.connect import Backends
from gateway.domain.job import LIVE_STATES, Job, JobId


async def cancel_job(backends: Backends, job_id: JobId, *, reason: str = "cancelled by request") -> Job:
    """The job after it; idempotent; a job that ended stays as it is. Raises NotFound, Unavailable."""
    job = await backends.ledger.cancel(job_id, reason=reason, now=backends.now())
    if job.final:
        backends.ends.tell(job_id)
    if job.state in LIVE_STATES:
        await backends.launcher.stop(job.attempt_id)
    return job
