"""Tidying the secrets of deploys that were cut off: at the start, now and then, and soon after one failed."""

import asyncio
import random

import structlog

from gateway.backends.registry.kubernetes.memory import Memory
from gateway.backends.registry.kubernetes.secret_writer import SecretWriter
from gateway.domain.problems import Forbidden, Problem

SOON_S = 15.0

log = structlog.get_logger(__name__)


class Tidying:
    def __init__(self, writer: SecretWriter, memory: Memory, *, every_s: float) -> None:
        self._writer = writer
        self._memory = memory
        self._every_s = every_s
        self._needed = asyncio.Event()
        self._readonly = False

    def soon(self) -> None:
        """A deploy was left half-way."""
        self._needed.set()

    async def run(self) -> None:
        """For ever. A process that may only read, as a worker, leaves it to those that deploy."""
        while True:
            await self._tidy()
            try:
                async with asyncio.timeout(self._every_s * random.uniform(0.9, 1.1)):  # noqa: S311
                    await self._needed.wait()
                await asyncio.sleep(SOON_S)
            except TimeoutError:
                continue

    async def _tidy(self) -> None:
        self._needed.clear()
        try:
            await self._writer.tidy(self._memory.entry)
        except Forbidden as problem:
            if not self._readonly:
                log.info("services.readonly", why=problem.detail)
            self._readonly = True
        except Problem as problem:
            log.warning("tidying.failed", why=problem.detail)
            self.soon()
