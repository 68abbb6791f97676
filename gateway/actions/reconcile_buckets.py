"""Reconcile the input buckets with the ledger: the notice is the fast path, the listing is the guarantee."""

import json

import structlog

from gateway.actions.accept_events import Noticed, accept_objects
from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed
from gateway.domain.event import StoredObject
from gateway.domain.ids import event_job_id
from gateway.domain.job import Cause
from gateway.domain.mark import written_by
from gateway.domain.matching import input_prefixes, takes
from gateway.domain.notification import notice_of
from gateway.domain.problems import NotFound

log = structlog.get_logger(__name__)

PAGE = 1000


async def reconcile_buckets(backends: Backends) -> int:
    """Accept a job for every object that an input rule takes and the ledger does not know; how many.

    Objects older than the rule itself do not count: the rule promised nothing about them. Raises
    Unavailable, StorageFull.
    """
    found = 0
    for deployed in list(backends.registry.all()):
        for bucket, prefix, path in input_prefixes(deployed.service):
            try:
                found += await _reconcile(backends, deployed, bucket=bucket, prefix=prefix, path=path)
            except NotFound:
                log.warning("bucket.missing", bucket=bucket, service=deployed.service.name)
    if found:
        log.info("events.backfilled", count=found)
    return found


async def _reconcile(backends: Backends, deployed: Deployed, *, bucket: str, prefix: str, path: str) -> int:
    found = 0
    after: str | None = ""
    while after is not None:
        page = await backends.objects.list(bucket, prefix=prefix, after=after, limit=PAGE)
        wanted = [stored for stored in page.objects if _wanted(deployed, stored, path)]
        found += await _accept_unknown(backends, deployed, wanted)
        after = page.next_after
    return found


def _wanted(deployed: Deployed, stored: StoredObject, path: str) -> bool:
    since = deployed.inputs_since.get(path)
    return (
        since is not None
        and stored.modified_at >= since
        and takes(deployed.service, stored.bucket, stored.key)
        and not written_by(stored.mark, service_uid=deployed.uid, bucket=stored.bucket, key=stored.key)
    )


async def _accept_unknown(backends: Backends, deployed: Deployed, wanted: list[StoredObject]) -> int:
    if not wanted:
        return 0
    ids = {event_job_id(deployed.service.name, deployed.uid, stored): stored for stored in wanted}
    known = await backends.ledger.remembered(ids)
    unknown: list[Noticed] = [
        (stored, json.dumps(notice_of(stored)).encode()) for job, stored in ids.items() if job not in known
    ]
    if not unknown:
        return 0
    accepted = await accept_objects(backends, unknown, cause=Cause.BACKFILL, only=deployed)
    return sum(one.created for one in accepted)
