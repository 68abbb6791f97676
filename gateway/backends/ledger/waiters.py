"""Who waits for which job's end, and until when. Not how an end is found out: that is `ends`."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.domain.job import JobId

LOOK_S = 0.2
"""Between two looks for those whose time is over."""
NEVER = float("inf")

Told = Callable[[bool], None]
"""Called once, with whether the job has ended: False when the time is over."""


class Waiter(NamedTuple):
    told: Told
    due: float


class Waiters:
    """Small ones, thousands at once: no task, and one timer for all."""

    def __init__(self) -> None:
        self.awaited: dict[JobId, list[Waiter]] = {}
        self.somebody = asyncio.Event()
        """Set while there is one."""
        self._look_due = NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._given_up = False

    def add(self, job: JobId, told: Told, *, within_s: float) -> None:
        due = time.monotonic() + (0.0 if self._given_up else within_s)
        self.awaited.setdefault(job, []).append(Waiter(told, due))
        self.somebody.set()
        self._look_by(due)

    def withdraw(self, job: JobId, told: Told) -> None:
        """Fine if it was called already."""
        self._keep(job, [one for one in self.awaited.get(job, ()) if one.told != told])

    def tell(self, job: JobId) -> None:
        """It has ended."""
        waiters = self.awaited.get(job)
        if waiters is not None:
            self._keep(job, [])
            for waiter in waiters:
                waiter.told(True)

    def give_up(self) -> None:
        """Everybody's time is over, and that of all who come."""
        self._given_up = True
        for job, waiters in tuple(self.awaited.items()):
            self._keep(job, [])
            for waiter in waiters:
                waiter.told(False)

    def _keep(self, job: JobId, waiters: list[Waiter]) -> None:
        if waiters:
            self.awaited[job] = waiters
        else:
            self.awaited.pop(job, None)
        if not self.awaited:
            self.somebody.clear()

    def _look_by(self, due: float) -> None:
        if due < self._look_due:
            if self._timer is not None:
                self._timer.cancel()
            self._look_due = due
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - time.monotonic()), self._look)

    def _look(self) -> None:
        self._timer, self._look_due = None, NEVER
        now, soonest = time.monotonic(), NEVER
        late: list[tuple[JobId, Told]] = []
        for job, waiters in self.awaited.items():
            for told, due in waiters:
                if due <= now:
                    late.append((job, told))
                elif due < soonest:
                    soonest = due
        for job, told in late:
            self.withdraw(job, told)
            told(False)
        if soonest < NEVER:
            self._look_by(max(soonest, now + LOOK_S))
