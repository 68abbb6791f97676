"""Settle an ended attempt: the job's next state into the ledger, then the freed place to the next job."""

import structlog

from gateway.actions.announce_jobs import announce_jobs
from gateway.actions.discard_jobs import discard_attempt, discard_jobs
from gateway.actions.find_service import current_service
from gateway.backends.connect import Backends
from gateway.domain.job import Ending, job_of
from gateway.domain.problems import NotFound
from gateway.domain.service import Policy
from gateway.domain.verdict import judge

log = structlog.get_logger(__name__)


async def settle_attempt(backends: Backends, ending: Ending) -> None:
    """Idempotent: an ending told twice settles once. Raises Unavailable; then the launcher tells of it
    again."""
    job_id, _ = job_of(ending.attempt)
    try:
        job = await backends.ledger.job(job_id)
    except NotFound:
        await discard_attempt(backends, ending.attempt)
        await backends.launcher.forget(ending.attempt)
        return
    now = backends.now()
    deployed = await current_service(backends, name=job.service, uid=job.service_uid)
    policy = deployed.service.policy if deployed is not None else Policy()
    verdict = judge(job, ending, policy=policy, now=now)
    settled = await backends.ledger.settle(
        ending, state=verdict.state, reason=verdict.reason, due_at=verdict.due_at, now=now
    )
    await backends.launcher.forget(ending.attempt)
    if settled is not None:
        if settled.final:
            backends.ends.tell(job_id)
        log.info("attempt.settled", attempt=ending.attempt, state=verdict.state.value, why=verdict.reason)
        if deployed is None:
            await discard_jobs(backends, [job_id])
    await admit_waiting(backends)


async def admit_waiting(backends: Backends) -> None:
    """Let as many jobs through the gate as there are free places, in fair order."""
    settings = backends.settings
    live = await backends.ledger.live_counts()
    free = settings.jobs_live_limit - sum(live.values())
    if free <= 0:
        return
    cap = settings.service_live_limit
    full = frozenset(service for service, count in live.items() if cap and count >= cap)
    await announce_jobs(backends, await backends.ledger.admit(limit=free, full=full))
