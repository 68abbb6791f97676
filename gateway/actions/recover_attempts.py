"""Recover attempts of an earlier life of the worker: launch what was claimed only, settle what left nothing
behind."""

import structlog

from gateway.actions.find_service import current_service
from gateway.actions.launch_attempt import launch_claimed
from gateway.actions.settle_attempt import settle_attempt
from gateway.backends.connect import Backends
from gateway.domain.job import AttemptId, Ending, EndReason, Job, JobState

log = structlog.get_logger(__name__)


async def recover_attempts(backends: Backends) -> None:
    """Before dispatching begins. Attempts the launcher knows go on by themselves: their endings come as any
    other."""
    known = await backends.launcher.known()
    for job in await backends.ledger.live():
        if job.state is JobState.STARTING or job.attempt_id not in known:
            await _recover(backends, job)
        elif job.cancel_requested:
            await backends.launcher.stop(job.attempt_id)
    await _forget_strangers(backends, known)


async def _recover(backends: Backends, job: Job) -> None:
    deployed = current_service(backends, job)
    if job.state is JobState.STARTING and deployed is not None and not job.cancel_requested:
        log.info("attempt.relaunched", attempt=job.attempt_id)
        await launch_claimed(backends, await backends.ledger.job(job.id), deployed)
    else:
        lost = Ending(job.attempt_id, EndReason.INTERRUPTED, detail="nothing of it was left")
        await settle_attempt(backends, lost)


async def _forget_strangers(backends: Backends, known: frozenset[AttemptId]) -> None:
    """Leftovers of attempts that were settled, but not forgotten, before the end came."""
    live = {job.attempt_id for job in await backends.ledger.live()}
    for attempt in known - live:
        await backends.launcher.forget(attempt)
