"""Answer a call from the job it became: byte for byte what a direct answer would have been."""

from gateway.actions.find_service import current_service
from gateway.actions.limit_call import job_limit
from gateway.actions.read_kept import read_result
from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Reply
from gateway.backends.invoker.replies import answer_headers, failed
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.job import EndReason, Job, JobState, ResultKind
from gateway.domain.problems import Conflict, Unavailable
from gateway.staging.answer import in_base64, sent_bytes


async def answer_call(backends: Backends, job: Job, *, raw: bool) -> Reply:
    """Of a job that is final. Raises what the invoker would have: TimedOut, Unavailable; and Conflict for one
    that was cancelled."""
    match job.state:
        case JobState.SUCCEEDED:
            return await _kept(backends, job, 200, raw=raw)
        case JobState.FAILED:
            return await _failure(backends, job)
        case JobState.CANCELLED:
            raise Conflict(f"the call was cancelled: {job.reason}")
        case _:
            raise Unavailable(job.reason)


async def _failure(backends: Backends, job: Job) -> Reply:
    """The script's own text, or how it ended where it printed nothing or was ended by us."""
    attempts = await backends.ledger.attempts(job.id)
    reason = attempts[-1].reason if attempts else None
    if reason is EndReason.TIME_LIMIT:
        deployed = await current_service(backends, name=job.service, uid=job.service_uid)
        raise job_limit(backends, deployed).passed(job.reason)
    key = job.kept.result_key
    if reason is EndReason.EXITED and key and (await backends.objects.stat(OWN_BUCKET, key)).size_bytes:
        return await _kept(backends, job, 500, raw=False)
    return failed(job.reason)


async def _kept(backends: Backends, job: Job, status: int, *, raw: bool) -> Reply:
    kind, _, content = await read_result(backends, job)
    stored = await backends.objects.stat(OWN_BUCKET, job.kept.result_key or "")
    encoded = kind is not ResultKind.TEXT and not raw
    headers = answer_headers(kind, sent_bytes(stored.size_bytes, encoded=encoded), raw=raw)
    return Reply(status, headers, in_base64(content) if encoded else content)
