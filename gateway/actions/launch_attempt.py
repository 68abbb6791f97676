"""Launch the next attempt of a queued job: gate, claim, launch. What goes wrong ends the attempt, never the
worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from gateway.actions.find_service import current_service
from gateway.actions.limit_call import job_limit
from gateway.actions.settle_attempt import settle_attempt
from gateway.backends.connect import Backends
from gateway.backends.launcher.protocol import Order
from gateway.domain.deployed import Deployed
from gateway.domain.job import AttemptId, Cause, Ending, EndReason, Job, JobId, JobState
from gateway.domain.problems import Forbidden, Invalid, NotFound, Problem, TooLarge, Unavailable

log = structlog.get_logger(__name__)

HOLD_EVERY_S = 10.0
"""An attempt whose launch takes longer is held, time and again: who does it is there."""


async def launch_attempt(backends: Backends, job_id: JobId) -> None:
    """Returns once the ledger says what became of it: running, waiting, or ended. Raises Unavailable if the
    ledger is away.

    A job in any state but `queued` is left alone: a message about it came twice, or it was cancelled.
    """
    try:
        job = await backends.ledger.job(job_id)
    except NotFound:
        return
    if job.state is not JobState.QUEUED:
        return
    deployed = await current_service(backends, name=job.service, uid=job.service_uid)
    if deployed is None:
        await backends.ledger.cancel(job_id, reason="its service was deleted", now=backends.now())
        return
    settings = backends.settings
    attempt = await backends.ledger.claim(
        job_id,
        now=backends.now(),
        live_limit=settings.jobs_live_limit,
        service_limit=settings.service_live_limit,
    )
    if attempt is None:
        # Where the gate has opened since, the sweep lets it in again at once.
        await backends.ledger.park(job_id, reason=await _closed_gate(backends, job) or "waits for a place")
        return
    await launch_claimed(backends, replace(job, state=JobState.STARTING, attempts=attempt.number), deployed)


async def launch_claimed(backends: Backends, job: Job, deployed: Deployed) -> None:
    """Launch an attempt that is claimed; the same one again is harmless."""
    attempt = job.attempt_id
    try:
        async with _held(backends, attempt):
            await backends.launcher.launch(order_attempt(backends, job, deployed))
    except Problem as problem:
        log.warning("attempt.refused", attempt=attempt, why=problem.detail)
        await settle_attempt(backends, _refused(attempt, problem))
        return
    begun = await backends.ledger.began(attempt, now=backends.now())
    if begun is None:
        return
    log.info("attempt.started", attempt=attempt)
    if begun.cancel_requested:
        # By somebody who found nothing to stop yet.
        await backends.launcher.stop(attempt)


@asynccontextmanager
async def _held(backends: Backends, attempt: AttemptId) -> AsyncIterator[None]:
    """However long it takes, nobody takes it for left meanwhile."""
    holding: list[asyncio.Task[None]] = []

    def hold() -> None:
        holding.append(asyncio.create_task(_hold(backends, attempt), name=f"hold {attempt}"))

    # A task for those only that take long: a timer costs a tenth of it.
    timer = asyncio.get_running_loop().call_later(HOLD_EVERY_S, hold)
    try:
        yield
    finally:
        timer.cancel()
        for task in holding:
            task.cancel()
            await asyncio.wait([task])


async def _hold(backends: Backends, attempt: AttemptId) -> None:
    while True:
        try:
            await backends.ledger.hold(attempt, now=backends.now())
        except Problem as problem:
            log.warning("attempt.not_held", attempt=attempt, why=problem.detail)
        await asyncio.sleep(HOLD_EVERY_S)


def order_attempt(backends: Backends, job: Job, deployed: Deployed) -> Order:
    """What is to be run for a job. A call's output files are its answer: they go to no bucket, whichever way
    it is answered."""
    limit_s = job_limit(backends, deployed).seconds
    if job.cause is Cause.HELD:
        deployed = replace(deployed, service=deployed.service.model_copy(update={"output": ()}))
    return Order(job=job, deployed=deployed, limit_s=limit_s)


def _refused(attempt: AttemptId, problem: Problem) -> Ending:
    match problem:
        case NotFound():
            reason = EndReason.INPUT_GONE
        case Invalid() | TooLarge():
            reason = EndReason.NOT_STARTED
        case Forbidden() | Unavailable():
            # A quota, missing rights, a part that is away: it waits for people or for better times.
            reason = EndReason.REFUSED
        case _:
            reason = EndReason.STAGING
    return Ending(attempt, reason, detail=problem.detail)


async def _closed_gate(backends: Backends, job: Job) -> str:
    """Why the job has to wait, or ""."""
    settings = backends.settings
    live = await backends.ledger.live_counts()
    if sum(live.values()) >= settings.jobs_live_limit:
        return f"{settings.jobs_live_limit} attempts run, which is the limit (JOBS_LIVE_LIMIT)"
    if settings.service_live_limit and live.get(job.service, 0) >= settings.service_live_limit:
        return f"{settings.service_live_limit} attempts of it run, which is the limit (SERVICE_LIVE_LIMIT)"
    return ""
