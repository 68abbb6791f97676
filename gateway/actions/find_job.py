"""Find a job, as far as the caller may see it: their own, and those of their own services."""

from gateway.actions.authorise_call import authorise_call
from gateway.actions.find_service import require_visible
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import ADMINISTRATOR, TOKEN, Caller
from gateway.domain.deployed import Deployed
from gateway.domain.job import Job, JobId
from gateway.domain.problems import Forbidden, NotFound


async def require_job(backends: Backends, job_id: str, caller: Caller) -> Job:
    """Raises NotFound, also for a job of a service that is not the caller's to know of, Forbidden for one of
    somebody else, Unavailable."""
    job = await backends.ledger.job(JobId(job_id))
    if not caller.admin:
        deployed = await require_visible(backends, job.service, caller)
        _require_own(job, deployed, caller.name)
    return job


async def require_called_job(backends: Backends, job_id: str, authorization: str) -> Job:
    """A call's job, for the bearer of its service's token, or as `require_job`.

    Raises Unauthenticated, NotFound, Forbidden, Unavailable. Without a good credential no job is told from
    one that is not there.
    """
    try:
        job = await backends.ledger.job(JobId(job_id))
    except NotFound:
        await backends.identity.caller(authorization)
        raise
    deployed, whose = await authorise_call(backends, job.service, authorization)
    if whose not in (TOKEN, ADMINISTRATOR):
        _require_own(job, deployed, whose)
    return job


def _require_own(job: Job, deployed: Deployed, name: str) -> None:
    """Theirs who made it, and whose service it ran."""
    if name not in (job.owner, deployed.service.owner):
        raise Forbidden(f"the job {job.id} is somebody else's")


async def require_job_of(backends: Backends, deployed: Deployed, job_id: str) -> Job:
    """Raises NotFound for a job of another service, or of an earlier one of this name."""
    job = await backends.ledger.job(JobId(job_id))
    if job.service_uid != deployed.uid:
        raise NotFound(f"the service {deployed.service.name!r} has no job {job_id!r}")
    return job
