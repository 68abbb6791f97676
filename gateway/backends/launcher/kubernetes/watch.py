"""The watch over all attempts: by one worker at a time, from the cluster's news to endings that are told
until they are forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog

from gateway.backends.cluster import Cluster
from gateway.backends.launcher.kubernetes.conclusion import Conclusion
from gateway.backends.launcher.kubernetes.fate import Fate, fate_of
from gateway.backends.launcher.kubernetes.hindrance import hindrance_of
from gateway.backends.launcher.kubernetes.lease import Lease
from gateway.backends.launcher.kubernetes.refused import Refusals
from gateway.backends.launcher.kubernetes.watched import Watched
from gateway.domain.job import AttemptId, Ending, EndReason
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""Between two looks at everything that goes on: for what time alone brings about."""
AT_ONCE = 8
"""Endings concluded at the same time."""


class Watch:
    def __init__(
        self,
        cluster: Cluster,
        conclusion: Conclusion,
        lease: Lease | None,
        *,
        pull_limit_s: float,
        now: Callable[[], datetime],
    ) -> None:
        """Without a lease it watches at once."""
        self._conclusion = conclusion
        self._lease = lease
        self._pull_limit_s = pull_limit_s
        self._now = now
        self._jobs = Watched(cluster, f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs", self._note)
        self._pods = Watched(cluster, f"/api/v1/namespaces/{cluster.namespace}/pods", self._note)
        self._refusals = Refusals(cluster, now=now)
        self._ended: dict[AttemptId, Ending] = {}
        self._concluding: set[AttemptId] = set()
        self._forgotten: set[AttemptId] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._changed: set[AttemptId] = set()
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        self._wanted = asyncio.Event()
        self._next_look = 0.0
        self._looking = False
        self._hindered: dict[AttemptId, str] = {}
        """What kept it from running when it was last seen waiting: a pod that never got a node goes with its
        status."""

    async def run(self) -> None:
        """For ever, once somebody listens."""
        await self._wanted.wait()
        if self._lease is None:
            await self._look()
            return
        while True:
            await self._lease.hold()
            log.info("watch.taken")
            try:
                await _until(self._lease.renew(), self._look())
            finally:
                await self._lease.let_go()
            log.info("watch.lost")
            self._ended.clear()

    async def endings(self, *, repeat_s: float) -> AsyncIterator[Ending]:
        self._wanted.set()
        while True:
            self._told.clear()
            for attempt, ending in tuple(self._ended.items()):
                if attempt in self._ended:
                    yield ending
            try:
                async with asyncio.timeout(repeat_s):
                    await self._told.wait()
            except TimeoutError:
                continue

    def hindrances(self) -> dict[AttemptId, str]:
        """Of all attempts, while this is the one watch; else none."""
        if not (self._looking and self._jobs.synced and self._pods.synced):
            return {}
        return {attempt: self._hindrance(attempt) for attempt in self._jobs.attempts()}

    def forget(self, attempt: AttemptId) -> None:
        self._ended.pop(attempt, None)
        self._hindered.pop(attempt, None)
        self._forgotten.add(attempt)

    def _note(self, attempt: AttemptId) -> None:
        self._changed.add(attempt)
        self._news.set()

    async def _look(self) -> None:
        self._looking = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._jobs.follow())
                tasks.create_task(self._pods.follow())
                while True:
                    await self._look_once(tasks)
        finally:
            self._looking = False

    async def _look_once(self, tasks: asyncio.TaskGroup) -> None:
        """At what changed, as soon as there is news, and now and then at everything."""
        clock = asyncio.get_running_loop().time
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._next_look):
                await self._news.wait()
        self._news.clear()
        if not (self._jobs.synced and self._pods.synced):
            self._next_look = clock() + LOOK_S
            return
        looked_at = self._changed
        if clock() >= self._next_look:
            self._next_look = clock() + LOOK_S
            looked_at = looked_at | self._jobs.attempts() | self._pods.attempts()
            self._forgotten &= looked_at
        # What is being considered is considered again after that.
        self._changed = looked_at & self._concluding
        for attempt in looked_at - self._ended.keys() - self._concluding - self._forgotten:
            self._concluding.add(attempt)
            tasks.create_task(self._consider(attempt))

    async def _consider(self, attempt: AttemptId) -> None:
        """A Problem leaves it for the next look at everything."""
        try:
            async with self._places:
                fate = await self._fate(attempt)
                if fate is not None:
                    ending = await self._conclusion.of(attempt, fate, self._pods.get(attempt))
                    if attempt not in self._forgotten:
                        self._ended[attempt] = ending
                        self._told.set()
        except Problem as problem:
            log.warning("ending.not_concluded", attempt=attempt, why=problem.detail)
        finally:
            self._concluding.discard(attempt)
            if attempt in self._changed:
                self._news.set()

    async def _fate(self, attempt: AttemptId) -> Fate | None:
        job, pod = self._jobs.get(attempt), self._pods.get(attempt)
        fate = fate_of(job, pod, now=self._now(), pull_limit_s=self._pull_limit_s)
        if hindrance := self._hindrance(attempt):
            self._hindered[attempt] = hindrance
        elif fate is not None and fate.reason is EndReason.NOT_STARTED and pod is None:
            told = "; ".join(filter(None, (fate.detail, self._hindered.get(attempt, ""))))
            return replace(fate, detail=told)
        if fate is None and job is not None and pod is None:
            return await self._refusals.why_no_pod(job)
        return fate

    def _hindrance(self, attempt: AttemptId) -> str:
        pod = self._pods.get(attempt)
        return "" if pod is None else hindrance_of(pod)


async def _until(first: Coroutine[None, None, None], other: Coroutine[None, None, None]) -> None:
    """Runs both until the first one returns."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(other)
        await first
        running.cancel()
