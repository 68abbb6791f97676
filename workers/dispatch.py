"""Dispatch: take deliveries, launch attempts. A delivery is held for seconds; the job's life is the watch's
business."""

import asyncio

import structlog

from gateway.actions.launch_attempt import launch_attempt
from gateway.actions.recover_attempts import recover_attempts
from gateway.backends.connect import Backends
from gateway.backends.queue.protocol import Delivery
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

PREFETCH = 8
PAUSE_S = 1.0
"""Before asking again when the queue or the ledger is away."""


async def dispatch(backends: Backends) -> None:
    """For ever; cancelling it gives back what is in hand."""
    await _recover(backends)
    while True:
        try:
            await _take_deliveries(backends)
        except* Problem as group:
            log.warning("dispatch.paused", why=str(group.exceptions[0]))
            await asyncio.sleep(PAUSE_S)


async def _recover(backends: Backends) -> None:
    while True:
        try:
            return await recover_attempts(backends)
        except Problem as problem:
            log.warning("recovery.paused", why=problem.detail)
            await asyncio.sleep(PAUSE_S)


async def _take_deliveries(backends: Backends) -> None:
    async with (
        backends.queue.deliveries(prefetch=PREFETCH) as deliveries,
        asyncio.TaskGroup() as tasks,
    ):
        async for delivery in deliveries:
            tasks.create_task(_handle(backends, delivery))


async def _handle(backends: Backends, delivery: Delivery) -> None:
    try:
        await launch_attempt(backends, delivery.job)
    except Problem as problem:
        log.warning("delivery.given_back", job=delivery.job, why=problem.detail)
        await asyncio.sleep(PAUSE_S)
        await delivery.give_back()
    else:
        await delivery.ack()
