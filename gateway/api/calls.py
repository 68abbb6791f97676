"""`/v1/calls/{call}`: a call that became a job, for who made it: where it stands, and its answer, by the same
credential."""

from starlette.responses import RedirectResponse, Response, StreamingResponse

from gateway.actions.answer_call import answer_call
from gateway.actions.find_job import require_called_job
from gateway.actions.hold_call import come_again_s
from gateway.api.answers import json_answer
from gateway.api.operations import Ask
from gateway.api.terms import status_of_call
from gateway.api.waiting import wait_as_preferred
from gateway.domain.body import pieces_of
from gateway.domain.job import Job
from gateway.domain.problems import Conflict


async def read(ask: Ask) -> Response:
    """Where it stands; with `Prefer: wait=N` once it has ended, at most N seconds later.
    Ended: 303 to its answer."""
    job, headers = await wait_as_preferred(ask, await _job(ask))
    if job.final:
        return RedirectResponse(f"/v1/calls/{job.id}/answer", 303, headers)
    headers["Retry-After"] = str(come_again_s(ask.backends, job))
    return json_answer(status_of_call(job), headers=headers)


async def read_answer(ask: Ask) -> Response:
    """Exactly what `/run` would have answered. Raises Conflict while there is none yet."""
    job = await _job(ask)
    if not job.final:
        raise Conflict(f"the call {job.id} is {job.state.value}: it has no answer yet")
    raw = "application/octet-stream" in ask.headers.get("accept", "")
    reply = await answer_call(ask.backends, job, raw=raw)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    headers |= {"X-OSCAR-Job-ID": job.id, "Vary": "Accept"}
    return StreamingResponse(pieces_of(reply.body), reply.status, headers)


async def _job(ask: Ask) -> Job:
    return await require_called_job(ask.backends, ask.path["call"], ask.headers.get("authorization", ""))
