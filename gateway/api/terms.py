"""Terms: how a held call is to be answered, and its answer from its job as that stands: what a direct call
would have brought, or where that will be."""

from dataclasses import dataclass
from typing import Any

from gateway.actions.answer_call import answer_call
from gateway.actions.hold_call import come_again_s
from gateway.actions.learn_durations import learn_duration
from gateway.actions.limit_call import idle_limit
from gateway.api.answers import JSON, encode_json
from gateway.api.outgoing import Outgoing
from gateway.api.replies import finish, pass_on
from gateway.backends.connect import Backends
from gateway.domain.headers import Headers
from gateway.domain.job import Job
from gateway.domain.prefer import Preferences


@dataclass(frozen=True, slots=True)
class Terms:
    """`route` is the header that tells the client its route; `raw` wants output bytes without Base64;
    `comes_back`, by its Idempotency-Key, who hangs up."""

    route: tuple[bytes, bytes]
    preferences: Preferences
    raw: bool
    comes_back: bool


async def answer_as_it_is(backends: Backends, job: Job, terms: Terms, outgoing: Outgoing) -> str:
    """The outcome, for the measures. Raises what `answer_call` does."""
    more = [terms.route, *_applied(backends, terms.preferences)]
    if not job.final:
        await _hand_over(backends, job, more, outgoing)
        return "handed-over"
    return await _answer(backends, job, more, raw=terms.raw, outgoing=outgoing)


def hold_s(backends: Backends, preferences: Preferences) -> float:
    """What the client asked for, or as long as nothing in front of us cuts the connection."""
    most_s = backends.settings.hold_limit_s
    if preferences.wait_s is not None:
        return min(float(preferences.wait_s), most_s)
    return 0.0 if preferences.respond_async else most_s


async def _answer(backends: Backends, job: Job, more: Headers, *, raw: bool, outgoing: Outgoing) -> str:
    if job.started_at is not None and job.finished_at is not None:
        waited_s = (job.started_at - job.created_at).total_seconds()
        took_s = (job.finished_at - job.started_at).total_seconds()
        learn_duration(backends, job.service_uid, took_s)
        more = [*more, _timing(waited_s, took_s)]
    reply = await answer_call(backends, job, raw=raw)
    headers = [*more, (b"x-oscar-job-id", job.id.encode()), (b"vary", b"Prefer, Accept")]
    await pass_on(reply, outgoing, more=headers, idle=idle_limit(backends, None))
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


def _applied(backends: Backends, preferences: Preferences) -> Headers:
    honoured = ["respond-async"] if preferences.respond_async else []
    if preferences.wait_s is not None:
        honoured.append(f"wait={int(hold_s(backends, preferences))}")
    return [(b"preference-applied", ", ".join(honoured).encode())] if honoured else []


def _timing(waited_s: float, took_s: float) -> tuple[bytes, bytes]:
    """Server-Timing (W3C): waiting and running apart, in milliseconds."""
    return b"server-timing", f"queue;dur={waited_s * 1000:.1f}, run;dur={took_s * 1000:.1f}".encode()
