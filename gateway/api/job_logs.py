"""`/v1/jobs/{job}/log`: a job's log as text, or followed while it is written."""

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from gateway.actions.find_job import require_job
from gateway.actions.read_kept import read_log
from gateway.api.answers import TEXT, encode_json
from gateway.api.operations import Ask
from gateway.api.query import flag
from gateway.backends.connect import Backends
from gateway.domain.job import Job, JobId
from gateway.domain.problems import NotFound
from gateway.staging.log import render

FOLLOW_LIMIT_S = 3600.0
POLL_S = 0.5
PIECE_BYTES = 4 << 20


async def read(ask: Ask) -> Response:
    """What there is so far; with `follow=true` as server-sent events, until the job ends."""
    job = await require_job(ask.backends, ask.path["job"], ask.caller)
    timestamps = flag(ask.query, "timestamps")
    if flag(ask.query, "follow"):
        events = _follow(ask.backends, job.id, timestamps=timestamps)
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )
    lines = await read_log(ask.backends, job)
    return StreamingResponse(render(lines, timestamps=timestamps), media_type=TEXT)


async def _follow(backends: Backends, job_id: JobId, *, timestamps: bool) -> AsyncIterator[bytes]:
    """A message a line; event `attempt` with the number of each new attempt; `end` with the job's state,
    or `cut` after `FOLLOW_LIMIT_S`. A round without news sends a comment, so that connections stay open
    and broken ones are noticed."""
    deadline = time.monotonic() + FOLLOW_LIMIT_S
    seen, attempt = 0, 0
    while time.monotonic() < deadline:
        try:
            job = await backends.ledger.job(job_id)
        except NotFound:
            yield _event("end", encode_json({"state": "deleted"}))
            return
        if job.attempts != attempt:
            seen, attempt = 0, job.attempts
            yield _event("attempt", str(attempt).encode())
        fresh = await _beyond(backends, job, seen)
        seen += len(fresh)
        yield await _events(fresh, timestamps=timestamps) or b":\n\n"
        if job.final and not fresh:
            yield _event("end", encode_json({"state": job.state.value, "exit_code": job.exit_code}))
            return
        await asyncio.sleep(0 if fresh else POLL_S)
    yield _event("cut", str(int(FOLLOW_LIMIT_S)).encode())


async def _beyond(backends: Backends, job: Job, seen: int) -> bytes:
    """Whole lines of the archive's form after the first `seen` bytes, about `PIECE_BYTES` of them at most."""
    passed, fresh = 0, bytearray()
    try:
        async for chunk in await read_log(backends, job):
            fresh += chunk[max(0, seen - passed) :]
            passed += len(chunk)
            if len(fresh) > PIECE_BYTES and b"\n" in fresh:
                break
    except NotFound:
        return b""
    return bytes(fresh[: fresh.rfind(b"\n") + 1])


async def _events(archived: bytes, *, timestamps: bool) -> bytes:
    rendered = b"".join([piece async for piece in render(_once(archived), timestamps=timestamps)])
    lines = rendered.removesuffix(b"\n").split(b"\n") if rendered else []
    return b"".join(_event("", line) for line in lines)


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


def _event(kind: str, data: bytes) -> bytes:
    """A carriage return would end a field of the form."""
    named = f"event: {kind}\n".encode() if kind else b""
    return named + b"data: " + data.replace(b"\r", b"") + b"\n\n"
