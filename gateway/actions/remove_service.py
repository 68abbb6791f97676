"""Remove a service: no call, job or event reaches it any more, its jobs end and go, and so do the buckets
made for it."""

import structlog

from gateway.actions.cancel_job import cancel_job
from gateway.actions.discard_jobs import discard_service_jobs
from gateway.actions.find_service import require_owned
from gateway.actions.watch_buckets import watch_buckets
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.deployed import Deployed
from gateway.domain.job import FINAL_STATES, JobQuery, JobState
from gateway.domain.matching import buckets_of, input_buckets
from gateway.domain.problems import NotFound

log = structlog.get_logger(__name__)


async def remove_service(backends: Backends, name: str, caller: Caller) -> None:
    """Raises NotFound, Forbidden, Unavailable. Interrupted after the registry's write, the sweep does the
    rest."""
    deployed = await require_owned(backends, name, caller)
    await backends.registry.remove(name)
    log.info("service.removed", service=name)
    await backends.invoker.retire(name)
    await clear_service(backends, name=name, uid=deployed.uid)
    if backends.settings.delete_buckets:
        await _remove_buckets(backends, deployed)
    await watch_buckets(backends, only=input_buckets(deployed.service))


async def clear_service(backends: Backends, *, name: str, uid: str) -> None:
    """End and discard the jobs of a service that is gone. Those that run go when their attempt has ended."""
    unfinished = frozenset(JobState) - FINAL_STATES
    query = JobQuery(service=name, states=unfinished, limit=500)
    while True:
        page = await backends.ledger.jobs(query)
        mine = [job for job in page.jobs if job.service_uid == uid and not job.cancel_requested]
        for job in mine:
            await cancel_job(backends, job.id, reason="its service was deleted")
        if not mine:
            break
    await discard_service_jobs(backends, uid)
    await backends.ledger.forget_service(uid)


async def _remove_buckets(backends: Backends, deployed: Deployed) -> None:
    """The buckets made for this service, unless another service's rules name them too."""
    name = deployed.service.name
    others = {bucket for other in backends.registry.all() for bucket in buckets_of(other.service)}
    for bucket in buckets_of(deployed.service):
        if bucket in others:
            continue
        try:
            if (await backends.objects.bucket(bucket)).tags.get("from_service") == name:
                await backends.objects.remove_bucket(bucket)
        except NotFound:
            continue
