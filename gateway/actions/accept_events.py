"""Accept events: one job for each object version and each service that takes it, however often the event
comes."""

from collections.abc import Iterable, Sequence

from gateway.actions.keep_unreadable import keep_unreadable
from gateway.backends.connect import Backends
from gateway.backends.ledger.protocol import Accepted
from gateway.domain.deployed import Deployed
from gateway.domain.event import StoredObject
from gateway.domain.ids import event_job_id
from gateway.domain.job import Cause, NewJob
from gateway.domain.mark import written_by
from gateway.domain.matching import takes
from gateway.domain.notification import parse_notification
from gateway.domain.problems import Invalid

REASON_LIMIT = 2000

Noticed = tuple[StoredObject, bytes]
"""An object and the notice that told of it, as one record in S3's JSON form."""


async def accept_notification(backends: Backends, raw: bytes) -> tuple[Accepted, ...]:
    """Accept a store's notification for whichever services take its objects. Raises Unavailable, StorageFull:
    then the store is to send it again; Invalid for what is no notification: it is kept, and it is no use to
    send it again. Records that cannot be read are kept too, and do not hide the others.
    """
    try:
        notification = parse_notification(raw)
    except Invalid as problem:
        await keep_unreadable(backends, raw, problem.detail)
        raise
    if notification.unreadable:
        await keep_unreadable(backends, raw, "; ".join(notification.unreadable)[:REASON_LIMIT])
    return await accept_objects(backends, notification.records, cause=Cause.EVENT)


async def accept_objects(
    backends: Backends, noticed: Sequence[Noticed], *, cause: Cause, only: Deployed | None = None
) -> tuple[Accepted, ...]:
    """Write a job for each object and service into the ledger, all or none; the new ones are
    announced in the background.

    With `only` the sender has named the service: it alone is asked, and objects from buckets that its rules
    do not name are its work too. Objects that a service wrote itself never become its own work.
    """
    jobs = [
        _job(deployed, stored, notice, cause)
        for stored, notice in noticed
        for deployed in _takers(backends, stored, only)
        if not written_by(stored.mark, service_uid=deployed.uid, bucket=stored.bucket, key=stored.key)
    ]
    if not jobs:
        return ()
    accepted = await backends.ledger.accept(jobs, now=backends.now())
    backends.announcer.soon(one.id for one in accepted if one.created)
    return accepted


def _takers(backends: Backends, stored: StoredObject, only: Deployed | None) -> Iterable[Deployed]:
    if only is None:
        return backends.subscriptions.taking(stored.bucket, stored.key)
    named = any(rule.embedded and rule.bucket == stored.bucket for rule in only.service.input)
    return [only] if not named or takes(only.service, stored.bucket, stored.key) else []


def _job(deployed: Deployed, stored: StoredObject, notice: bytes, cause: Cause) -> NewJob:
    service = deployed.service
    return NewJob(
        id=event_job_id(service.name, deployed.uid, stored),
        service=service.name,
        service_uid=deployed.uid,
        cause=cause,
        owner=service.owner,
        stored=stored,
        notice=notice,
    )
