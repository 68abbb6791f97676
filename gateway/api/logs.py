"""`/system/logs/…`: a service's jobs and their logs, as OSCAR's clients read and delete them."""

from starlette.responses import Response, StreamingResponse

from gateway.actions.delete_jobs import delete_job, delete_service_jobs
from gateway.actions.find_job import require_job_of
from gateway.actions.find_service import require_visible
from gateway.actions.read_kept import read_log
from gateway.api.answers import TEXT, empty_answer, json_answer, seconds
from gateway.api.operations import Ask
from gateway.api.paging import cursor_in, next_page
from gateway.api.query import flag, words
from gateway.domain.job import Job, JobQuery, JobState
from gateway.staging.log import render

OSCAR_STATUS = {
    JobState.QUEUED: "Pending",
    JobState.WAITING: "Pending",
    JobState.STARTING: "Pending",
    JobState.RUNNING: "Running",
    JobState.SUCCEEDED: "Succeeded",
    JobState.FAILED: "Failed",
    JobState.DEAD: "Failed",
    JobState.CANCELLED: "Failed",
}


async def list_jobs(ask: Ask) -> Response:
    """A page, newest first, without a null, true or false in it: OSCAR's suite reads it as a Python
    literal."""
    deployed = await require_visible(ask.backends, ask.path["service"], ask.caller)
    page = await ask.backends.ledger.jobs(
        JobQuery(
            service=deployed.service.name,
            states=_states(words(ask.query, "status")),
            after=cursor_in(ask.query, "page"),
            limit=ask.backends.settings.job_listing_limit,
        )
    )
    jobs = {job.id: _represent(job) for job in page.jobs}
    return json_answer({"jobs": jobs, **next_page(page, key="next_page")})


async def delete_jobs(ask: Ask) -> Response:
    """Those that succeeded; with `all=true` every one."""
    deployed = await require_visible(ask.backends, ask.path["service"], ask.caller)
    await delete_service_jobs(ask.backends, deployed, all_states=flag(ask.query, "all"))
    return empty_answer(204)


async def read(ask: Ask) -> Response:
    """Standard output and error as they were written; what there is so far of a job that runs."""
    deployed = await require_visible(ask.backends, ask.path["service"], ask.caller)
    job = await require_job_of(ask.backends, deployed, ask.path["job"])
    lines = await read_log(ask.backends, job)
    return StreamingResponse(render(lines, timestamps=flag(ask.query, "timestamps")), media_type=TEXT)


async def delete(ask: Ask) -> Response:
    deployed = await require_visible(ask.backends, ask.path["service"], ask.caller)
    await delete_job(ask.backends, await require_job_of(ask.backends, deployed, ask.path["job"]))
    return empty_answer(204)


def _represent(job: Job) -> dict[str, str]:
    shown = {"status": OSCAR_STATUS[job.state], "creation_time": seconds(job.created_at)}
    if job.started_at is not None:
        shown["start_time"] = seconds(job.started_at)
    if job.finished_at is not None:
        shown["finish_time"] = seconds(job.finished_at)
    return shown


def _states(wanted: frozenset[str]) -> frozenset[JobState]:
    """OSCAR's words or ours; words that are neither are passed over."""
    return frozenset(state for state in JobState if {state.value, OSCAR_STATUS[state].lower()} & wanted)
