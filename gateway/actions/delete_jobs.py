"""Delete jobs as OSCAR does: those that have not ended are cancelled first, and nothing is kept of any."""

import time
from collections.abc import Iterable

from gateway.actions.await_job import await_job
from gateway.actions.cancel_job import cancel_job
from gateway.actions.discard_jobs import discard_jobs, discard_service_jobs
from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed
from gateway.domain.job import FINAL_STATES, Job, JobId, JobQuery, JobState
from gateway.domain.problems import NotFound

END_WITHIN_S = 15.0
"""How long scripts that run may take to end, all together: oscar-cli gives up after 20 s."""

REASON = "deleted by request"


async def delete_job(backends: Backends, job: Job) -> None:
    """One whose script does not end in time stays behind as cancelled, and can be deleted again. Raises
    Unavailable."""
    if not job.final:
        await cancel_job(backends, job.id, reason=REASON)
        await _await_ends(backends, [job.id])
    await discard_jobs(backends, [job.id])


async def delete_service_jobs(backends: Backends, deployed: Deployed, *, all_states: bool) -> None:
    """Those that succeeded, or all of a service. Raises Unavailable."""
    if not all_states:
        await discard_service_jobs(backends, deployed.uid, states=frozenset({JobState.SUCCEEDED}))
        return
    await _await_ends(backends, await _cancel_unfinished(backends, deployed))
    await discard_service_jobs(backends, deployed.uid)


async def _cancel_unfinished(backends: Backends, deployed: Deployed) -> list[JobId]:
    """Those whose scripts still have to end."""
    query = JobQuery(service=deployed.service.name, states=frozenset(JobState) - FINAL_STATES, limit=500)
    while True:
        page = await backends.ledger.jobs(query)
        mine = [job for job in page.jobs if job.service_uid == deployed.uid]
        fresh = [job for job in mine if not job.cancel_requested]
        for job in fresh:
            await cancel_job(backends, job.id, reason=REASON)
        if not fresh:
            return [job.id for job in mine]


async def _await_ends(backends: Backends, jobs: Iterable[JobId]) -> None:
    deadline = time.monotonic() + END_WITHIN_S
    for job in jobs:
        try:
            await await_job(backends, job, within_s=deadline - time.monotonic())
        except NotFound:
            continue
