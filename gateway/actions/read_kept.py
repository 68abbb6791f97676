"""Read what is kept of a job: its result and its log."""

from collections.abc import AsyncIterator

from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.job import LIVE_STATES, Job, ResultKind
from gateway.domain.problems import Conflict, NotFound


async def read_result(backends: Backends, job: Job) -> tuple[ResultKind, str, AsyncIterator[bytes]]:
    """Kind, file name ("" for text) and bytes as kept. Raises Conflict while it has none yet, NotFound if
    there never was."""
    if not job.final:
        raise Conflict(f"the job {job.id} is {job.state.value}: it has no result yet")
    if job.kept.result_key is None or job.kept.result_kind is None:
        raise NotFound(f"the job {job.id} left no result: it is {job.state.value}")
    await backends.objects.stat(OWN_BUCKET, job.kept.result_key)
    content = backends.objects.read(OWN_BUCKET, job.kept.result_key)
    return job.kept.result_kind, job.kept.result_name or "", content


async def read_log(backends: Backends, job: Job) -> AsyncIterator[bytes]:
    """What the job's newest attempt wrote, in the archive's form (`staging.log`): kept, or so far. Raises
    NotFound if it never started."""
    if job.state in LIVE_STATES:
        return backends.launcher.log(job.attempt_id)
    if job.kept.log_key is None:
        raise NotFound(f"the job {job.id} has no log: it is {job.state.value}")
    await backends.objects.stat(OWN_BUCKET, job.kept.log_key)
    return backends.objects.read(OWN_BUCKET, job.kept.log_key)
