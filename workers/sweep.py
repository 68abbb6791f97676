"""Sweep: what is due, what was not announced, what a lost worker or pod left, what was kept long
enough."""

import asyncio
from functools import partial

from gateway.actions.explain_waits import explain_waits
from gateway.actions.keep_unreadable import expire_unreadable
from gateway.actions.recover_attempts import tend_attempts
from gateway.actions.sweep_jobs import announce_due, expire_jobs
from gateway.actions.upload_outputs import drop_uploads
from gateway.backends.connect import Backends
from workers.periodic import repeat

ANNOUNCE_EVERY_S = 0.5
TEND_EVERY_S = 5.0
EXPLAIN_EVERY_S = 5.0
DROP_EVERY_S = 60.0
EXPIRE_EVERY_S = 300.0


async def sweep(backends: Backends) -> None:
    """For ever."""
    steps = (
        (announce_due, ANNOUNCE_EVERY_S),
        (tend_attempts, TEND_EVERY_S),
        (explain_waits, EXPLAIN_EVERY_S),
        (drop_uploads, DROP_EVERY_S),
        (expire_jobs, EXPIRE_EVERY_S),
        (expire_unreadable, EXPIRE_EVERY_S),
    )
    async with asyncio.TaskGroup() as tasks:
        for step, every_s in steps:
            tasks.create_task(repeat(partial(step, backends), every_s=every_s, name=step.__name__))
