"""Recover attempts whose worker is not there any more: launch what was claimed only, settle what left nothing
behind, stop what was cancelled."""

from datetime import timedelta

import structlog

from gateway.actions.find_service import current_service
from gateway.actions.launch_attempt import launch_claimed
from gateway.actions.settle_attempt import settle_attempt
from gateway.backends.connect import Backends
from gateway.domain.job import AttemptId, Ending, EndReason, Job, JobState

log = structlog.get_logger(__name__)

LAUNCH_WITHIN_S = 30.0
"""A claim that was not launched by then belongs to a worker that is gone, or stuck: launching it a second
time is harmless."""


async def recover_attempts(backends: Backends) -> None:
    """Before dispatching begins. Attempts the launcher knows go on by themselves: their endings come as any
    other."""
    known = await _recover_live(backends, unlaunched_s=0.0)
    live = {job.attempt_id for job in await backends.ledger.live()}
    for stranger in known - live:
        # Settled, but not forgotten, before the end came.
        await backends.launcher.forget(stranger)


async def tend_attempts(backends: Backends) -> None:
    """The same while others work: what another worker has just claimed is left to it."""
    await _recover_live(backends, unlaunched_s=LAUNCH_WITHIN_S)


async def _recover_live(backends: Backends, *, unlaunched_s: float) -> frozenset[AttemptId]:
    """Answers the attempts the launcher knows. They are asked for after the ledger, so that one launched in
    between is not taken for lost."""
    live = await backends.ledger.live()
    known = await backends.launcher.known()
    for job in live:
        if job.cancel_requested and job.attempt_id in known:
            await backends.launcher.stop(job.attempt_id)
        elif job.state is JobState.STARTING:
            if await _claimed_for(backends, job) >= timedelta(seconds=unlaunched_s):
                await _relaunch(backends, job)
        elif job.attempt_id not in known and not await backends.launcher.elsewhere(job.attempt_id):
            await settle_attempt(backends, _lost(job))
    return known


async def _claimed_for(backends: Backends, job: Job) -> timedelta:
    attempts = await backends.ledger.attempts(job.id)
    return backends.now() - attempts[-1].claimed_at if attempts else timedelta()


async def _relaunch(backends: Backends, job: Job) -> None:
    deployed = await current_service(backends, name=job.service, uid=job.service_uid)
    if deployed is None or job.cancel_requested:
        await settle_attempt(backends, _lost(job))
        return
    log.info("attempt.relaunched", attempt=job.attempt_id)
    await launch_claimed(backends, await backends.ledger.job(job.id), deployed)


def _lost(job: Job) -> Ending:
    return Ending(job.attempt_id, EndReason.INTERRUPTED, detail="nothing of it was left")
