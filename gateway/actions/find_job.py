"""Find a job, as far as the caller may see it: the jobs of services that they may see."""

from gateway.actions.authorise_call import authorise_call
from gateway.actions.find_service import require_visible
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.deployed import Deployed
from gateway.domain.job import Job, JobId
from gateway.domain.problems import Forbidden, NotFound


async def require_job(backends: Backends, job_id: str, caller: Caller) -> Job:
    """Raises NotFound, also for a job that is not the caller's to know of, Unavailable."""
    job = await backends.ledger.job(JobId(job_id))
    if not caller.admin:
        await require_visible(backends, job.service, caller)
    return job


async def require_called_job(backends: Backends, job_id: str, authorization: str) -> Job:
    """A call's job, for the bearer of its service's token or who may use the service.

    Raises Unauthenticated, NotFound, Forbidden, Unavailable. Without a good credential no job is told from
    one that is not there.
    """
    try:
        job = await backends.ledger.job(JobId(job_id))
    except NotFound:
        await backends.identity.caller(authorization)
        raise
    await authorise_call(backends, job.service, authorization)
    return job


async def require_own_job(backends: Backends, job_id: str, caller: Caller) -> Job:
    """Raises NotFound, or Forbidden for one that neither the caller nor their service made."""
    job = await require_job(backends, job_id, caller)
    deployed = backends.registry.get(job.service)
    service_owner = deployed.service.owner if deployed is not None else ""
    if not caller.admin and caller.name not in (job.owner, service_owner):
        raise Forbidden(f"the job {job_id} is not yours to change")
    return job


async def require_job_of(backends: Backends, deployed: Deployed, job_id: str) -> Job:
    """Raises NotFound for a job of another service, or of an earlier one of this name."""
    job = await backends.ledger.job(JobId(job_id))
    if job.service_uid != deployed.uid:
        raise NotFound(f"the service {deployed.service.name!r} has no job {job_id!r}")
    return job
