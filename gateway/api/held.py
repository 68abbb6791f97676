"""Held calls: a call that is answered as a job keeps its connection until the job ends, or is told where its
answer will be."""

from dataclasses import dataclass

from gateway.actions.cancel_job import cancel_job
from gateway.actions.hold_call import hold_call
from gateway.actions.submit_job import Submission, submit_job
from gateway.api.asked import Asked
from gateway.api.incoming import ClientGone, Incoming, while_connected
from gateway.api.operations import Site
from gateway.api.outgoing import Outgoing
from gateway.api.parked import Parked, SeeThrough, can_park
from gateway.api.terms import Terms, answer_as_it_is, hold_s
from gateway.api.turn import Turn
from gateway.backends.connect import Backends
from gateway.backends.ledger.protocol import Accepted
from gateway.domain.deployed import Deployed
from gateway.domain.idempotency import parse_idempotency_key
from gateway.domain.job import Cause, JobId
from gateway.domain.prefer import Preferences

PARKED = ""
"""The outcome of a call of which nothing can be said yet."""


@dataclass(frozen=True, slots=True)
class Held:
    """`route` is the header that tells the client its route."""

    deployed: Deployed
    caller: str
    preferences: Preferences
    asked: Asked
    route: tuple[bytes, bytes]


async def answer_held(
    site: Site, see_through: SeeThrough, turn: Turn, held: Held, incoming: Incoming, outgoing: Outgoing
) -> str:
    """The outcome, for the measures; `PARKED` for one that goes on without a task, and is seen through then.
    A client that hangs up before it was told of the job ends it, unless it can come back by its
    Idempotency-Key."""
    backends, within_s = site.backends, hold_s(site.backends, held.preferences)
    terms = Terms(held.route, held.preferences, held.asked.raw, comes_back=bool(held.asked.idempotency_key))
    job_id: JobId | None = None
    try:
        async with while_connected(incoming):
            accepted = await _accept(backends, held, incoming)
            job_id = accepted.id
            # One that was there before may have ended.
            parks = can_park(turn) and accepted.created and within_s > 0
            job = None if parks else await hold_call(backends, job_id, within_s=within_s)
    except ClientGone:
        if job_id is not None and not terms.comes_back:
            await cancel_job(backends, job_id, reason="its caller hung up")
        raise
    if job is None:
        if Parked(site, see_through, turn, terms, job_id).begin(within_s=within_s):
            return PARKED
        job = await backends.ledger.job(job_id)
    return await answer_as_it_is(backends, job, terms, outgoing)


async def _accept(backends: Backends, held: Held, incoming: Incoming) -> Accepted:
    key = held.asked.idempotency_key
    submission = Submission(
        held.deployed,
        held.caller,
        incoming.chunks(),
        key=parse_idempotency_key(key) if key else None,
        cause=Cause.HELD,
    )
    (accepted,) = await submit_job(backends, submission)
    return accepted
