"""What a worker that is gone had in hand is taken up by the others."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

from gateway.actions.recover_attempts import LAUNCH_WITHIN_S, TAKEOVERS, tend_attempts
from gateway.backends.launcher.protocol import Launcher, Order
from gateway.domain.job import AttemptId, JobId, JobState, attempt_id
from tests.actions.test_sweep_jobs import later
from tests.api.gateway_rig import Gateway


async def claimed(gateway: Gateway, *, started: bool = False) -> JobId:
    """A job whose worker went away after claiming it, or after saying that it runs."""
    await gateway.deploy("left", "echo done")
    job = JobId(await gateway.submit("left"))
    attempt = await gateway.backends.ledger.claim(job, now=gateway.backends.now())
    assert attempt is not None
    if started:
        assert await gateway.backends.ledger.began(attempt.id, now=gateway.backends.now())
    return job


async def state(gateway: Gateway, job: JobId) -> JobState:
    return (await gateway.backends.ledger.job(job)).state


async def test_a_claim_that_nobody_launches_is_launched_by_another_worker(idle: Gateway) -> None:
    job = await claimed(idle)
    await tend_attempts(idle.backends)
    assert await idle.backends.launcher.known() == frozenset()
    await tend_attempts(later(idle.backends, seconds=LAUNCH_WITHIN_S + 1))
    assert await state(idle, job) is JobState.RUNNING
    assert len(await idle.backends.launcher.known()) == 1


async def test_an_attempt_that_runs_nowhere_is_an_interruption(idle: Gateway) -> None:
    job = await claimed(idle, started=True)
    await tend_attempts(idle.backends)
    settled = await idle.backends.ledger.job(job)
    assert (settled.state, settled.interruptions) == (JobState.WAITING, 1)


class Elsewhere:
    """A launcher that knows of nothing, beside one that has everything in hand."""

    async def known(self) -> frozenset[AttemptId]:
        return frozenset()

    async def elsewhere(self, attempt: AttemptId) -> bool:
        return bool(attempt)


async def test_an_attempt_in_another_workers_hands_is_left_to_it(idle: Gateway) -> None:
    job = await claimed(idle, started=True)
    await tend_attempts(replace(idle.backends, launcher=cast(Launcher, Elsewhere())))
    assert await state(idle, job) is JobState.RUNNING


async def test_a_claim_that_was_cancelled_meanwhile_is_never_launched(idle: Gateway) -> None:
    job = await claimed(idle)
    await idle.backends.ledger.cancel(job, reason="not wanted", now=idle.backends.now())
    await tend_attempts(later(idle.backends, seconds=LAUNCH_WITHIN_S + 1))
    assert await state(idle, job) is JobState.CANCELLED
    assert await idle.backends.launcher.known() == frozenset()


async def test_a_claim_whose_every_worker_ends_is_set_aside_with_that_reason(idle: Gateway) -> None:
    """Each of them takes it over and is never heard of again."""
    job = await claimed(idle)
    ledger = idle.backends.ledger
    for half_minute in range(1, TAKEOVERS + 1):
        passed = later(idle.backends, seconds=half_minute * (LAUNCH_WITHIN_S + 1)).now()
        before = passed - timedelta(seconds=LAUNCH_WITHIN_S)
        assert await ledger.take_over(attempt_id(job, 1), held_before=before, now=passed) == half_minute
    await tend_attempts(later(idle.backends, seconds=(TAKEOVERS + 1) * (LAUNCH_WITHIN_S + 1)))
    shown = (await idle.http.get(f"/v1/jobs/{job}")).json()
    assert shown["state"] == "dead"
    assert shown["reason"] == (
        "it is not tried any more: 6 times whoever was to launch it ended, or met an error that its log tells"
    )
    assert [attempt["reason"] for attempt in shown["attempts"]] == ["abandoned"]


class Broken:
    """A launcher with a bug."""

    async def launch(self, order: Order) -> None:
        raise KeyError(order.attempt)

    async def known(self) -> frozenset[AttemptId]:
        return frozenset()

    async def forget(self, attempt: AttemptId) -> None:
        return


async def test_an_error_nobody_foresaw_ends_in_the_same_way_and_no_worker_with_it(idle: Gateway) -> None:
    job = await claimed(idle)
    broken = replace(idle.backends, launcher=cast(Launcher, Broken()))
    for half_minute in range(1, TAKEOVERS + 1):
        await tend_attempts(later(broken, seconds=half_minute * (LAUNCH_WITHIN_S + 1)))
        assert await state(idle, job) is JobState.STARTING
    await tend_attempts(later(broken, seconds=(TAKEOVERS + 1) * (LAUNCH_WITHIN_S + 1)))
    assert await state(idle, job) is JobState.DEAD
