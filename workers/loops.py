"""All loops of a worker, in one task group: one that breaks ends the process, which is better than a
gateway whose accepted work nobody takes."""

import asyncio

from gateway.backends.connect import Backends
from workers.dispatch import dispatch
from workers.reconcile import reconcile
from workers.sweep import sweep
from workers.watch import watch


async def work(backends: Backends) -> None:
    """For ever, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for loop in (watch, dispatch, sweep, reconcile):
            tasks.create_task(loop(backends), name=loop.__name__)
