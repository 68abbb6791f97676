"""Waiting for a job's end as long as the client prefers (`Prefer: wait=N`, RFC 7240)."""

from gateway.actions.await_job import await_job
from gateway.api.incoming import while_connected
from gateway.api.operations import Ask
from gateway.domain.job import Job
from gateway.domain.prefer import parse_prefer

WAIT_LIMIT_S = 60
"""How long one request may wait for a job's end; proxies cut longer ones."""


async def wait_as_preferred(ask: Ask, job: Job) -> tuple[Job, dict[str, str]]:
    """The job once it has ended, or N or `WAIT_LIMIT_S` seconds later; as it is at once for who does not say.
    And the headers that tell what was honoured. Raises ClientGone, NotFound, Unavailable."""
    headers = {"Vary": "Prefer"}
    wait_s = parse_prefer(ask.headers.getlist("prefer")).wait_s
    if wait_s is None:
        return job, headers
    wait_s = min(wait_s, WAIT_LIMIT_S)
    headers["Preference-Applied"] = f"wait={wait_s}"
    await ask.incoming.whole()
    async with while_connected(ask.incoming):
        return await await_job(ask.backends, job.id, within_s=wait_s), headers
