"""A service that memory does not know is gone only if it is not there where services are kept."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import replace

import pytest

from gateway.actions.authorise_call import authorise_call
from gateway.actions.deploy_service import create_service
from gateway.actions.find_service import LOOK_UPS, require_current, require_owned, require_visible
from gateway.actions.launch_attempt import launch_attempt
from gateway.actions.sweep_jobs import expire_jobs
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.backends.registry.protocol import Registry
from gateway.domain.deployed import Deployed
from gateway.domain.job import JobId, JobState
from gateway.domain.problems import Conflict, NotFound, Unavailable
from tests.api.gateway_rig import Gateway


class Behind:
    """A registry whose memory has not heard of anything yet."""

    def __init__(self, registry: Registry, *, away: bool = False, knows: Deployed | None = None) -> None:
        self._registry = registry
        self._away = away
        self._knows = knows

    def get(self, _: str) -> Deployed | None:
        return self._knows

    def all(self) -> Iterable[Deployed]:
        return []

    async def look_up(self, name: str) -> Deployed | None:
        if self._away:
            raise Unavailable("away")
        return await self._registry.look_up(name)


class Slow(Behind):
    """One that takes its time to look something up."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.under_way = self.most = 0
        self.full, self.go_on = asyncio.Event(), asyncio.Event()

    async def look_up(self, name: str) -> Deployed | None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.under_way == LOOK_UPS:
            self.full.set()
        await self.go_on.wait()
        self.under_way -= 1
        return None


async def refused(call: Awaitable[object]) -> None:
    with pytest.raises(NotFound):
        await call


def behind(backends: Backends, *, away: bool = False) -> Backends:
    return replace(backends, registry=Behind(backends.registry, away=away))  # type: ignore[arg-type]  # only asked this


async def state_of(gateway: Gateway, job: JobId) -> JobState:
    return (await gateway.backends.ledger.job(job)).state


async def test_a_job_of_a_service_deployed_a_moment_ago_elsewhere_is_launched(idle: Gateway) -> None:
    await idle.deploy("fresh", "sleep 60")
    job = JobId(await idle.submit("fresh"))

    await launch_attempt(behind(idle.backends), job)

    assert await state_of(idle, job) in (JobState.STARTING, JobState.RUNNING)


async def test_a_service_deployed_a_moment_ago_elsewhere_can_be_called_changed_and_removed(
    idle: Gateway,
) -> None:
    await idle.deploy("fresh")
    backends, admin = behind(idle.backends), Caller("oscar", admin=True)
    token = (await require_visible(backends, "fresh", admin)).service.token

    called, _ = await authorise_call(backends, "fresh", f"Bearer {token}")

    assert called.service.name == "fresh"
    assert (await require_owned(backends, "fresh", admin)).uid == called.uid
    with pytest.raises(Conflict):
        await create_service(backends, b'{"name": "fresh", "image": "busybox", "script": "true"}', admin)


async def test_what_a_service_has_become_elsewhere_is_read_at_once(idle: Gateway) -> None:
    await idle.deploy("fresh")
    before = await require_current(idle.backends, "fresh", Caller("oscar", admin=True))
    stale = replace(idle.backends, registry=Behind(idle.backends.registry, knows=before))  # type: ignore[arg-type]
    await idle.backends.registry.remove("fresh")

    with pytest.raises(NotFound):
        await require_current(stale, "fresh", Caller("oscar", admin=True))


async def test_strangers_who_guess_names_keep_few_look_ups_busy(idle: Gateway) -> None:
    registry = Slow(idle.backends.registry)
    backends = replace(idle.backends, registry=registry)  # type: ignore[arg-type]  # only asked this
    guess = "Bearer " + "0" * 64

    async with asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(refused(authorise_call(backends, f"guess-{number}", guess)))
        await registry.full.wait()
        registry.go_on.set()

    assert registry.most == LOOK_UPS


async def test_no_job_ends_because_services_cannot_be_seen(idle: Gateway) -> None:
    await idle.deploy("fresh")
    job = JobId(await idle.submit("fresh"))

    await expire_jobs(behind(idle.backends, away=True))
    with pytest.raises(Unavailable):
        await launch_attempt(behind(idle.backends, away=True), job)

    assert await state_of(idle, job) is JobState.QUEUED


async def test_a_job_of_a_service_that_is_gone_is_cancelled(idle: Gateway) -> None:
    await idle.deploy("gone")
    job = JobId(await idle.submit("gone"))
    await idle.backends.registry.remove("gone")

    await launch_attempt(behind(idle.backends), job)

    assert await state_of(idle, job) is JobState.CANCELLED
