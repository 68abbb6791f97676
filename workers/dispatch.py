"""Dispatch: take deliveries, launch attempts. A delivery is held for seconds; the job's life is the watch's
business."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from gateway.actions.launch_attempt import launch_attempt
from gateway.actions.recover_attempts import recover_attempts
from gateway.actions.sweep_jobs import announce_all
from gateway.backends.connect import Backends
from gateway.backends.queue.protocol import Delivery
from gateway.domain.job import JobId
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

PREFETCH = 128
"""Jobs in hand at a time, each for a fraction of a second: some share a transaction of the ledger while the
launcher has the others."""
PAUSE_S = 1.0
"""Before asking again when the queue or the ledger is away."""
HOLD_S = 60.0
"""How long a delivery is kept while the ledger is away: as long as all are in hand, no other is taken."""
FINISH_S = 5.0
"""How long launches under way may take when we are told to stop."""


async def dispatch(backends: Backends) -> None:
    """For ever. Cancelled, it takes no more, finishes what it has begun and gives back the rest."""
    if backends.settings.embedded:
        # Nobody else announced anything: what the queue had may be gone with it.
        await _until_done(partial(announce_all, backends))
    await _until_done(partial(recover_attempts, backends))
    while True:
        try:
            await _take_deliveries(backends)
        except* Problem as group:
            log.warning("dispatch.paused", why=str(group.exceptions[0]))
            await asyncio.sleep(PAUSE_S)


async def _until_done(step: Callable[[], Awaitable[None]]) -> None:
    """However long a part is away: no process ends because another one did."""
    while True:
        try:
            return await step()
        except Problem as problem:
            log.warning("recovery.paused", why=problem.detail)
            await asyncio.sleep(PAUSE_S)


async def _take_deliveries(backends: Backends) -> None:
    async with (
        backends.queue.deliveries(prefetch=PREFETCH) as deliveries,
        asyncio.TaskGroup() as tasks,
    ):
        handled: set[asyncio.Task[None]] = set()
        try:
            async for delivery in deliveries:
                task = tasks.create_task(_handle(backends, delivery))
                handled.add(task)
                task.add_done_callback(handled.discard)
        finally:
            if handled:
                await asyncio.wait(handled, timeout=FINISH_S)


async def _handle(backends: Backends, delivery: Delivery) -> None:
    """Acknowledged only when the ledger says what became of the job."""
    if await _launch(backends, delivery) or await _launch(backends, delivery):
        await delivery.ack()
    else:
        await delivery.give_back()


async def _launch(backends: Backends, delivery: Delivery) -> bool:
    """Whether it could be done; if not, after having waited for the ledger."""
    try:
        await launch_attempt(backends, delivery.job)
    except Problem as problem:
        log.warning("delivery.held", job=delivery.job, why=problem.detail)
    except Exception:
        # Of one job, not of the worker.
        log.exception("delivery.broke", job=delivery.job)
        if await _leave(backends, delivery.job):
            return True
    else:
        return True
    await _ledger_is_back(backends)
    return False


async def _leave(backends: Backends, job: JobId) -> bool:
    """As a claim that its worker went away from: the sweep takes it over, and counts how often; whether that
    could be done."""
    try:
        await backends.ledger.claim(job, now=backends.now())
    except Problem as problem:
        log.warning("delivery.held", job=job, why=problem.detail)
        return False
    return True


async def _ledger_is_back(backends: Backends) -> None:
    """Returns when it is, or after HOLD_S."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HOLD_S):
            await asyncio.sleep(PAUSE_S)
            while not await _ledger_is_ready(backends):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(PAUSE_S)


async def _ledger_is_ready(backends: Backends) -> bool:
    try:
        await backends.ledger.ready()
    except Problem:
        return False
    return True
