"""What a worker that is gone had in hand is taken up by the others."""

from dataclasses import replace
from typing import cast

from gateway.actions.recover_attempts import LAUNCH_WITHIN_S, tend_attempts
from gateway.backends.launcher.protocol import Launcher
from gateway.domain.job import AttemptId, JobId, JobState
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
