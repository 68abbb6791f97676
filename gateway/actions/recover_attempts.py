"""Recover attempts whose worker is not there any more: launch what was claimed only, settle what left nothing
behind, stop what was cancelled."""

from datetime import timedelta

import structlog

from gateway.actions.find_service import current_service
from gateway.actions.launch_attempt import launch_claimed
from gateway.actions.settle_attempt import settle_attempt
from gateway.backends.connect import Backends
from gateway.domain.job import AttemptId, Ending, EndReason, Job, JobState
from gateway.domain.problems import Problem
from gateway.domain.verdict import describe

log = structlog.get_logger(__name__)

LAUNCH_WITHIN_S = 30.0
"""A claim neither launched nor held for so long belongs to a worker that is gone, or stuck: launching it a
second time is harmless."""
TAKEOVERS = 5
"""How often that is done for an attempt. What takes each worker along must not be tried for ever."""


async def recover_attempts(backends: Backends) -> None:
    """Before dispatching begins. Attempts the launcher knows go on by themselves: their endings come as any
    other."""
    alone = backends.settings.embedded
    known = await _recover_live(backends, unheld_s=0.0 if alone else LAUNCH_WITHIN_S)
    live = {job.attempt_id for job in await backends.ledger.live()}
    for stranger in known - live:
        # Settled, but not forgotten, before the end came.
        await backends.launcher.forget(stranger)


async def tend_attempts(backends: Backends) -> None:
    """The same while others work: what another worker has just claimed is left to it."""
    await _recover_live(backends, unheld_s=LAUNCH_WITHIN_S)


async def _recover_live(backends: Backends, *, unheld_s: float) -> frozenset[AttemptId]:
    """Answers the attempts the launcher knows. They are asked for after the ledger, so that one launched in
    between is not taken for lost."""
    live = await backends.ledger.live()
    known = await backends.launcher.known()
    for job in live:
        if job.cancel_requested and job.attempt_id in known:
            await backends.launcher.stop(job.attempt_id)
        elif job.state is JobState.STARTING:
            await _take_over(backends, job, unheld_s=unheld_s)
        elif job.attempt_id not in known and not await backends.launcher.elsewhere(job.attempt_id):
            await settle_attempt(backends, _lost(job))
    return known


async def _take_over(backends: Backends, job: Job, *, unheld_s: float) -> None:
    now = backends.now()
    held_before = now - timedelta(seconds=unheld_s)
    taken = await backends.ledger.take_over(job.attempt_id, held_before=held_before, now=now)
    if taken is None:
        return
    if taken > TAKEOVERS:
        await _abandon(backends, job, times=taken)
        return
    try:
        await _relaunch(backends, job)
    except Problem:
        raise
    except Exception:
        # Of one attempt, not of the worker: it is taken over again, and abandoned at last.
        log.exception("launch.broke", attempt=job.attempt_id)


async def _relaunch(backends: Backends, job: Job) -> None:
    deployed = await current_service(backends, name=job.service, uid=job.service_uid)
    if deployed is None or job.cancel_requested:
        await settle_attempt(backends, _lost(job))
        return
    log.info("attempt.relaunched", attempt=job.attempt_id)
    await launch_claimed(backends, await backends.ledger.job(job.id), deployed)


async def _abandon(backends: Backends, job: Job, *, times: int) -> None:
    """Of nothing that may be what broke them is anything asked."""
    detail = f"{times} times whoever was to launch it ended, or met an error that its log tells"
    ending = Ending(job.attempt_id, EndReason.ABANDONED, detail=detail)
    reason = describe(ending)
    log.error("attempt.abandoned", attempt=job.attempt_id, why=reason)
    await backends.ledger.settle(ending, state=JobState.DEAD, reason=reason, due_at=None, now=backends.now())
    await backends.launcher.forget(job.attempt_id)


def _lost(job: Job) -> Ending:
    return Ending(job.attempt_id, EndReason.INTERRUPTED, detail="nothing of it was left")
