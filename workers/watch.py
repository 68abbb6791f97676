"""Watch: settle every attempt that ended. The launcher repeats an ending until it is forgotten, so none is
missed."""

import asyncio

import structlog

from gateway.actions.settle_attempt import settle_attempt
from gateway.backends.connect import Backends
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

PAUSE_S = 1.0


async def watch(backends: Backends) -> None:
    """For ever."""
    while True:
        try:
            async for ending in backends.launcher.endings():
                await settle_attempt(backends, ending)
        except Problem as problem:
            log.warning("watch.paused", why=problem.detail)
        await asyncio.sleep(PAUSE_S)
