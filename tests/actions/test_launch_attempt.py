"""Whoever launches an attempt says so for as long as it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from gateway.actions import launch_attempt as launching
from gateway.actions.launch_attempt import launch_attempt
from gateway.backends.launcher.protocol import Launcher, Order
from gateway.backends.ledger.protocol import Ledger
from gateway.domain.job import AttemptId, JobId, JobState
from tests.api.gateway_rig import Gateway


class Watched:
    """A ledger that notes which attempts are held."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.held: list[AttemptId] = []
        self.twice = asyncio.Event()

    async def hold(self, attempt: AttemptId, *, now: datetime) -> None:
        await self._ledger.hold(attempt, now=now)
        self.held.append(attempt)
        if len(self.held) == 2:
            self.twice.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class Slow:
    """A launcher that takes its time."""

    def __init__(self, wait: Callable[[], Awaitable[object]]) -> None:
        self._wait = wait

    async def launch(self, order: Order) -> None:
        await self._wait()
        assert order.attempt


async def test_an_attempt_whose_launch_takes_long_is_held_time_and_again_and_not_after_it(
    idle: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "HOLD_EVERY_S", 0.05)
    await idle.deploy("slow", "echo done")
    job = JobId(await idle.submit("slow"))
    ledger = Watched(idle.backends.ledger)
    slow = replace(
        idle.backends, ledger=cast(Ledger, ledger), launcher=cast(Launcher, Slow(ledger.twice.wait))
    )
    async with asyncio.timeout(5):
        await launch_attempt(slow, job)
    found = await idle.backends.ledger.job(job)
    assert (found.state, ledger.held) == (JobState.RUNNING, [found.attempt_id] * 2)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("hold ")]
