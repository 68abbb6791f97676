"""Held calls: a call that is answered as a job keeps its connection until the job ends, or is told where its
answer will be."""

from dataclasses import dataclass
from typing import Any

from gateway.actions.answer_call import answer_call
from gateway.actions.cancel_job import cancel_job
from gateway.actions.hold_call import come_again_s, hold_call
from gateway.actions.learn_durations import learn_duration
from gateway.actions.submit_job import Submission, submit_job
from gateway.api.answers import JSON, encode_json
from gateway.api.asked import Asked
from gateway.api.incoming import ClientGone, Incoming, while_connected
from gateway.api.outgoing import Outgoing
from gateway.api.replies import finish, pass_on
from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers
from gateway.domain.idempotency import parse_idempotency_key
from gateway.domain.job import Cause, Job, JobId
from gateway.domain.prefer import Preferences


@dataclass(frozen=True, slots=True)
class Held:
    """`route` is the header that tells the client its route."""

    deployed: Deployed
    caller: str
    preferences: Preferences
    asked: Asked
    route: tuple[bytes, bytes]


async def answer_held(backends: Backends, held: Held, incoming: Incoming, outgoing: Outgoing) -> str:
    """The outcome, for the measures. A client that hangs up before it was told of the job ends it, unless it
    can come back by its Idempotency-Key."""
    key = held.asked.idempotency_key
    job_id: JobId | None = None
    try:
        async with while_connected(incoming):
            job_id = await _accept(backends, held, incoming, key)
            job = await hold_call(backends, job_id, within_s=_within_s(backends, held.preferences))
    except ClientGone:
        if job_id is not None and not key:
            await cancel_job(backends, job_id, reason="its caller hung up")
        raise
    applied = _applied(backends, held.preferences)
    if not job.final:
        await _hand_over(backends, job, [held.route, *applied], outgoing)
        return "handed-over"
    return await _answer(backends, job, [held.route, *applied], raw=held.asked.raw, outgoing=outgoing)


async def _accept(backends: Backends, held: Held, incoming: Incoming, key: str) -> JobId:
    submission = Submission(
        held.deployed,
        held.caller,
        incoming.chunks(),
        key=parse_idempotency_key(key) if key else None,
        cause=Cause.HELD,
    )
    (accepted,) = await submit_job(backends, submission)
    return accepted.id


async def _answer(backends: Backends, job: Job, more: Headers, *, raw: bool, outgoing: Outgoing) -> str:
    if job.started_at is not None and job.finished_at is not None:
        waited_s = (job.started_at - job.created_at).total_seconds()
        took_s = (job.finished_at - job.started_at).total_seconds()
        learn_duration(backends, job.service_uid, took_s)
        more = [*more, _timing(waited_s, took_s)]
    reply = await answer_call(backends, job, raw=raw)
    headers = [*more, (b"x-oscar-job-id", job.id.encode()), (b"vary", b"Prefer, Accept")]
    await pass_on(reply, outgoing, more=headers, idle_s=backends.settings.idle_limit_s)
    await finish(reply, outgoing, more=headers)
    return "ok" if reply.status < 400 else "script-failed"


async def _hand_over(backends: Backends, job: Job, more: Headers, outgoing: Outgoing) -> None:
    body = encode_json(status_of_call(job))
    headers = [
        *more,
        (b"content-type", JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"location", f"/v1/calls/{job.id}".encode()),
        (b"retry-after", str(come_again_s(backends, job)).encode()),
        (b"x-oscar-job-id", job.id.encode()),
        (b"vary", b"Prefer"),
    ]
    await outgoing.answer(202, headers, body)


def status_of_call(job: Job) -> dict[str, Any]:
    """Where a call that became a job stands, and where everything of it is."""
    return {
        "id": job.id,
        "service": job.service,
        "state": job.state.value,
        "reason": job.reason,
        "links": {
            "status": f"/v1/calls/{job.id}",
            "answer": f"/v1/calls/{job.id}/answer",
            "job": f"/v1/jobs/{job.id}",
            "log": f"/v1/jobs/{job.id}/log",
        },
    }


def _within_s(backends: Backends, preferences: Preferences) -> float:
    """What the client asked for, or as long as nothing in front of us cuts the connection."""
    most_s = backends.settings.hold_limit_s
    if preferences.wait_s is not None:
        return min(float(preferences.wait_s), most_s)
    return 0.0 if preferences.respond_async else most_s


def _applied(backends: Backends, preferences: Preferences) -> Headers:
    honoured = ["respond-async"] if preferences.respond_async else []
    if preferences.wait_s is not None:
        honoured.append(f"wait={int(_within_s(backends, preferences))}")
    return [(b"preference-applied", ", ".join(honoured).encode())] if honoured else []


def _timing(waited_s: float, took_s: float) -> tuple[bytes, bytes]:
    """Server-Timing (W3C): waiting and running apart, in milliseconds."""
    return b"server-timing", f"queue;dur={waited_s * 1000:.1f}, run;dur={took_s * 1000:.1f}".encode()
