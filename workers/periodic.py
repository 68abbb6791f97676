"""Something to be done again and again: how the sweep and the reconciler keep going when a part is away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

RETRY_S = 1.0


async def never() -> None:
    """Does not return."""
    await asyncio.Event().wait()


async def repeat(
    step: Callable[[], Awaitable[object]],
    *,
    every_s: float,
    name: str,
    sooner: Callable[[], Awaitable[None]] = never,
) -> None:
    """For ever, first at once, then `every_s` after each end, give or take a tenth, or as soon as `sooner`
    returned; a Problem is logged and tried again soon.

    `sooner` waits all the while, and anew once it returned: what it waits for may happen during the step.
    """
    due = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_listen(sooner, due))
        while True:
            pause_s = every_s * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
            due.clear()
            try:
                await step()
            except Problem as problem:
                log.warning("step.failed", step=name, why=problem.detail)
                pause_s = min(pause_s, RETRY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await due.wait()


async def _listen(sooner: Callable[[], Awaitable[None]], due: asyncio.Event) -> None:
    while True:
        await sooner()
        due.set()
