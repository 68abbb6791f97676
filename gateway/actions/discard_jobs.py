"""Discard ended jobs: their rows, and what was kept of them."""

from collections.abc import Iterable

from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.job import FINAL_STATES, JobId, JobState, Kept

BATCH = 500


async def discard_jobs(backends: Backends, jobs: Iterable[JobId]) -> int:
    """Those of them that are final; how many. That their ids were accepted stays known: their events do not
    come back.

    Rows first: an interruption leaves objects nobody refers to, never a job whose result is gone.
    """
    removed = await backends.ledger.remove(jobs)
    await discard_kept(backends, [job.kept for job in removed])
    for job in removed:
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


async def discard_kept(backends: Backends, kept: Iterable[Kept]) -> None:
    """Log and result of attempts, from the gateway's own bucket."""
    for one in kept:
        for key in (one.result_key, one.log_key):
            if key is not None:
                await backends.objects.remove(OWN_BUCKET, key)
