"""Sweep: what is due, what was not announced, what was kept long enough."""

import asyncio
from functools import partial

from gateway.actions.sweep_jobs import announce_due, expire_jobs
from gateway.backends.connect import Backends
from workers.periodic import repeat

ANNOUNCE_EVERY_S = 0.5
EXPIRE_EVERY_S = 300.0


async def sweep(backends: Backends) -> None:
    """For ever."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            repeat(partial(announce_due, backends), every_s=ANNOUNCE_EVERY_S, name="announce_due")
        )
        tasks.create_task(repeat(partial(expire_jobs, backends), every_s=EXPIRE_EVERY_S, name="expire_jobs"))
