"""Discard ended jobs: their rows, and what was kept of them."""

from collections.abc import Iterable

from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.job import FINAL_STATES, AttemptId, JobId, JobState, attempt_id, log_key, result_key

BATCH = 500


async def discard_jobs(backends: Backends, jobs: Iterable[JobId]) -> int:
    """Those of them that are final; how many. That their ids were accepted stays known: their events do not
    come back.

    Rows first: an interruption leaves objects nobody refers to, never a job whose result is gone.
    """
    removed = await backends.ledger.remove(jobs)
    for job in removed:
        backends.ends.tell(job.id)
        for number in range(1, job.attempts + 1):
            await discard_attempt(backends, attempt_id(job.id, number))
        if job.payload is not None and job.payload.key is not None:
            await backends.objects.remove(OWN_BUCKET, job.payload.key)
    return len(removed)


async def discard_service_jobs(
    backends: Backends, service_uid: str, *, states: frozenset[JobState] = FINAL_STATES
) -> None:
    """Every ended job of a service in one of these states."""
    while found := await backends.ledger.finished(service_uid=service_uid, states=states, limit=BATCH):
        if not await discard_jobs(backends, found):
            return


async def discard_attempt(backends: Backends, attempt: AttemptId) -> None:
    """Its log and result, from the gateway's own bucket."""
    for key in (result_key(attempt), log_key(attempt)):
        await backends.objects.remove(OWN_BUCKET, key)
