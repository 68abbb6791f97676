"""Hold a call that is answered as a job. The route was chosen before a byte of it went on, so that it is
never executed a second way."""

import math
from collections.abc import Callable

from gateway.actions.await_job import await_job
from gateway.actions.learn_durations import recent
from gateway.backends.connect import Backends
from gateway.domain.job import Job, JobId

HELD = "held"
RETRY_S = 5
"""When nothing is known of how long the service's calls take."""
RETRY_MOST_S = 600


async def hold_call(backends: Backends, job: JobId, *, within_s: float) -> Job:
    """The job once it is final, or as it is after that time; as it is at once when as many as may be are held
    already. Raises NotFound, Unavailable."""
    if not backends.held.enter(HELD, places=backends.settings.held_calls_limit):
        return await backends.ledger.job(job)
    try:
        return await await_job(backends, job, within_s=within_s)
    finally:
        backends.held.leave(HELD)


def begin_hold(backends: Backends, job: JobId, told: Callable[[bool], None], *, within_s: float) -> bool:
    """The same without a task that waits: calls `told` then, with whether the job has ended. Whoever began it
    ends it. False when as many as may be are held already."""
    if not backends.held.enter(HELD, places=backends.settings.held_calls_limit):
        return False
    backends.ends.expect(job, told, within_s=within_s)
    return True


def end_hold(backends: Backends, job: JobId, told: Callable[[bool], None]) -> None:
    """Told or not."""
    backends.ends.withdraw(job, told)
    backends.held.leave(HELD)


def come_again_s(backends: Backends, job: Job) -> int:
    """When asking again is worth while, in whole seconds: what the service's calls usually take, less what
    has passed."""
    usual_s = recent(backends, job.service_uid)
    if usual_s is None:
        return RETRY_S
    left_s = usual_s - (backends.now() - job.created_at).total_seconds()
    return min(max(1, math.ceil(left_s)), RETRY_MOST_S)
