"""A service that memory does not know is gone only if it is not there where services are kept."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.actions.launch_attempt import launch_attempt
from gateway.actions.sweep_jobs import expire_jobs
from gateway.backends.connect import Backends
from gateway.backends.registry.protocol import Registry
from gateway.domain.deployed import Deployed
from gateway.domain.job import JobId, JobState
from gateway.domain.problems import Unavailable
from tests.api.gateway_rig import Gateway


class Behind:
    """A registry whose memory has not heard of anything yet."""

    def __init__(self, registry: Registry, *, away: bool = False) -> None:
        self._registry = registry
        self._away = away

    def get(self, _: str) -> Deployed | None:
        return None

    def all(self) -> Iterable[Deployed]:
        return []

    async def look_up(self, name: str) -> Deployed | None:
        if self._away:
            raise Unavailable("away")
        return await self._registry.look_up(name)


def behind(backends: Backends, *, away: bool = False) -> Backends:
    return replace(backends, registry=Behind(backends.registry, away=away))  # type: ignore[arg-type]  # only asked this


async def state_of(gateway: Gateway, job: JobId) -> JobState:
    return (await gateway.backends.ledger.job(job)).state


async def test_a_job_of_a_service_deployed_a_moment_ago_elsewhere_is_launched(idle: Gateway) -> None:
    await idle.deploy("fresh", "sleep 60")
    job = JobId(await idle.submit("fresh"))

    await launch_attempt(behind(idle.backends), job)

    assert await state_of(idle, job) in (JobState.STARTING, JobState.RUNNING)


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
