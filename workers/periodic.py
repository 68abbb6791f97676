"""Something to be done again and again: how the sweep and the reconciler keep going when a part is away."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

RETRY_S = 1.0


async def repeat(step: Callable[[], Awaitable[object]], *, every_s: float, name: str) -> None:
    """For ever, first at once, then `every_s` after each end, give or take a tenth; a Problem is logged and
    tried again soon."""
    while True:
        pause_s = every_s * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
        try:
            await step()
        except Problem as problem:
            log.warning("step.failed", step=name, why=problem.detail)
            pause_s = min(pause_s, RETRY_S)
        await asyncio.sleep(pause_s)
