"""What a message, a timer or a process forgot is found by the sweep."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.actions.sweep_jobs import announce_all, announce_due, expire_jobs
from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.job import JobId
from gateway.domain.problems import NotFound
from tests.api.gateway_rig import Gateway


def later(backends: Backends, **passed: float) -> Backends:
    """The same, some time on."""
    then: datetime = backends.now() + timedelta(**passed)
    return replace(backends, now=lambda: then)


async def kept_keys(gateway: Gateway) -> set[str]:
    return {stored.key for stored in (await gateway.backends.objects.list(OWN_BUCKET)).objects}


async def test_a_job_is_kept_as_long_as_configured_and_then_goes_with_all_that_was_kept(
    busy: Gateway,
) -> None:
    await busy.deploy("kept", "echo out; echo err >&2")
    job = await busy.submit("kept", b"x" * 100_000)
    await busy.job(job)
    assert len(await kept_keys(busy)) == 3
    retention_s = busy.backends.settings.job_retention_s
    await expire_jobs(later(busy.backends, seconds=retention_s - 60))
    assert (await busy.http.get(f"/v1/jobs/{job}/result")).text == "out\n"
    await expire_jobs(later(busy.backends, seconds=retention_s + 60))
    assert (await busy.http.get(f"/v1/jobs/{job}")).status_code == 404
    assert await kept_keys(busy) == set()


async def test_every_attempts_log_and_result_go_with_their_job(busy: Gateway) -> None:
    annotations = {"oscar-gateway/tries": "3", "oscar-gateway/retry-seconds": "0"}
    await busy.deploy("tried", "echo out; exit 1", annotations=annotations)
    await busy.job(await busy.submit("tried"))
    await busy.http.delete("/system/logs/tried", params={"all": "true"})
    assert await kept_keys(busy) == set()


async def test_a_job_whose_announcement_was_lost_is_announced_again(idle: Gateway) -> None:
    await idle.deploy("lost")
    job = await idle.submit("lost")
    async with idle.backends.queue.deliveries(prefetch=1) as deliveries:
        await (await anext(deliveries)).ack()
    assert await idle.backends.queue.depth() == 0
    await announce_due(idle.backends)
    assert await idle.backends.queue.depth() == 0
    await announce_due(later(idle.backends, seconds=6))
    async with idle.backends.queue.deliveries(prefetch=1) as deliveries:
        assert (await anext(deliveries)).job == job


async def test_a_queue_that_starts_empty_is_filled_from_the_ledger(idle: Gateway) -> None:
    await idle.deploy("many")
    jobs = {JobId(await idle.submit("many")) for _ in range(3)}
    found = set()
    async with idle.backends.queue.deliveries(prefetch=3) as deliveries:
        for _ in jobs:
            delivery = await anext(deliveries)
            await delivery.ack()
    await announce_all(idle.backends)
    async with idle.backends.queue.deliveries(prefetch=3) as deliveries:
        for _ in jobs:
            found.add((await anext(deliveries)).job)
    assert found == jobs


async def test_jobs_of_a_service_whose_removal_was_cut_short_go(idle: Gateway) -> None:
    await idle.deploy("cut-short")
    job = JobId(await idle.submit("cut-short"))
    await idle.backends.registry.remove("cut-short")
    await expire_jobs(idle.backends)
    with pytest.raises(NotFound):
        await idle.backends.ledger.job(job)
