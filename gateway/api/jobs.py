"""`/v1/jobs`: our own account of jobs: why each is in its state, every attempt, and waiting for its end."""

from datetime import datetime
from typing import Any, TypeVar

from starlette.responses import Response

from gateway.actions.cancel_job import cancel_job
from gateway.actions.find_job import require_job
from gateway.actions.find_service import require_visible
from gateway.api.answers import json_answer, milliseconds
from gateway.api.logs import OSCAR_STATUS
from gateway.api.operations import Ask
from gateway.api.paging import cursor_in, next_page
from gateway.api.query import moment, whole_number, words
from gateway.api.waiting import wait_as_preferred
from gateway.domain.job import Attempt, Cause, Job, JobQuery, JobState
from gateway.domain.problems import Forbidden, Invalid

PAGE_LIMIT = 1000

Kind = TypeVar("Kind", JobState, Cause)


async def list_jobs(ask: Ask) -> Response:
    """Newest first. A caller who is not the administrator names the service."""
    query = ask.query
    service = query.get("service") or None
    if service is not None and not ask.caller.admin:
        await require_visible(ask.backends, service, ask.caller)
    if service is None and not ask.caller.admin:
        raise Forbidden("name a service: only the administrator may list the jobs of all")
    page = await ask.backends.ledger.jobs(
        JobQuery(
            service=service,
            states=frozenset(_member(JobState, "state", word) for word in words(query, "state")),
            cause=_member(Cause, "cause", query["cause"]) if query.get("cause") else None,
            created_from=moment(query, "created_from"),
            created_to=moment(query, "created_to"),
            after=cursor_in(query, "cursor"),
            limit=whole_number(
                query, "limit", default=ask.backends.settings.job_listing_limit, least=1, most=PAGE_LIMIT
            ),
        )
    )
    return json_answer({"jobs": [represent(job) for job in page.jobs], **next_page(page, key="next")})


async def read(ask: Ask) -> Response:
    """With `Prefer: wait=N` the answer waits for the job's end, at most N seconds."""
    job = await require_job(ask.backends, ask.path["job"], ask.caller)
    job, headers = await wait_as_preferred(ask, job)
    return json_answer(await _in_full(ask, job), headers=headers)


async def cancel(ask: Ask) -> Response:
    """The job after it, also when it had ended before."""
    job = await require_job(ask.backends, ask.path["job"], ask.caller)
    return json_answer(await _in_full(ask, await cancel_job(ask.backends, job.id)))


def represent(job: Job) -> dict[str, Any]:
    """Every key always there, null where there is nothing to tell."""
    return {
        "id": job.id,
        "service": job.service,
        "state": job.state.value,
        "oscar_status": OSCAR_STATUS[job.state],
        "reason": job.reason,
        "cause": job.cause.value,
        "owner": job.owner,
        "created_at": milliseconds(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "due_at": _time(job.due_at),
        "attempt_count": job.attempts,
        "exit_code": job.exit_code,
        "cancel_requested": job.cancel_requested,
        "input": _input(job),
        "outputs": [
            {"bucket": one.bucket, "key": one.key, "size_bytes": one.size_bytes, "etag": one.etag}
            for one in job.kept.delivered
        ],
        "links": {
            "self": f"/v1/jobs/{job.id}",
            "result": f"/v1/jobs/{job.id}/result",
            "log": f"/v1/jobs/{job.id}/log",
        },
    }


async def _in_full(ask: Ask, job: Job) -> dict[str, Any]:
    attempts = await ask.backends.ledger.attempts(job.id)
    return represent(job) | {"attempts": [_represent_attempt(one) for one in attempts]}


def _represent_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "claimed_at": milliseconds(attempt.claimed_at),
        "started_at": _time(attempt.started_at),
        "finished_at": _time(attempt.finished_at),
        "reason": attempt.reason.value if attempt.reason is not None else None,
        "exit_code": attempt.exit_code,
        "detail": attempt.detail,
    }


def _input(job: Job) -> dict[str, Any]:
    """What the script works on: a body of some size, or an object."""
    if job.stored is not None:
        stored = job.stored
        return {
            "bucket": stored.bucket,
            "key": stored.key,
            "etag": stored.etag,
            "size_bytes": stored.size_bytes,
        }
    return {"size_bytes": job.payload.size_bytes if job.payload is not None else 0}


def _time(at: datetime | None) -> str | None:
    return milliseconds(at) if at is not None else None


def _member(kind: type[Kind], name: str, word: str) -> Kind:
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise Invalid(f"{name}: one of {known} is needed", field=name) from None
