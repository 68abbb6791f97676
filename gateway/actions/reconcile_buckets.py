"""Reconcile the input buckets with the ledger: the notice is the fast path, the listing is the guarantee."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from gateway.actions.accept_events import Noticed, accept_objects
from gateway.actions.watch_buckets import watch_buckets
from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed
from gateway.domain.event import StoredObject
from gateway.domain.ids import event_job_id
from gateway.domain.job import Cause, JobId
from gateway.domain.mark import written_by
from gateway.domain.matching import feeds_itself, input_prefixes, takes
from gateway.domain.notification import notice_of
from gateway.domain.problems import NotFound

log = structlog.get_logger(__name__)

ASKED_AT_ONCE = 16


async def reconcile_buckets(backends: Backends) -> int:
    """Accept a job for every object that an input rule takes and the ledger does not know; how many. Before,
    have the store tell of the next ones, should somebody have told it not to.

    Objects older than the rule itself do not count: the rule promised nothing about them. Raises
    Unavailable, StorageFull.
    """
    await watch_buckets(backends)
    found = 0
    for deployed in list(backends.registry.all()):
        for bucket, prefix, path in input_prefixes(deployed.service):
            try:
                found += await _Input(backends, deployed, path).reconcile(bucket, prefix)
            except NotFound:
                log.warning("bucket.missing", bucket=bucket, service=deployed.service.name)
    if found:
        log.info("events.backfilled", count=found)
    return found


@dataclass(frozen=True, slots=True)
class _Input:
    """One input path of one service."""

    backends: Backends
    deployed: Deployed
    path: str

    async def reconcile(self, bucket: str, prefix: str) -> int:
        found = 0
        async with aclosing(self.backends.objects.walk(bucket, prefix=prefix)) as pages:
            async for page in pages:
                found += await self._accept_unknown([stored for stored in page if self._wanted(stored)])
        return found

    def _wanted(self, stored: StoredObject) -> bool:
        since = self.deployed.inputs_since.get(self.path)
        return (
            since is not None
            and stored.modified_at >= since
            and takes(self.deployed.service, stored.bucket, stored.key)
            and not self._wrote(stored)
        )

    def _wrote(self, stored: StoredObject) -> bool:
        uid = self.deployed.uid
        return written_by(stored.mark, service_uid=uid, bucket=stored.bucket, key=stored.key)

    async def _accept_unknown(self, wanted: list[StoredObject]) -> int:
        if not wanted:
            return 0
        service, uid = self.deployed.service, self.deployed.uid
        ids = {event_job_id(service.name, uid, stored): stored for stored in wanted}
        known = await self.backends.ledger.remembered(ids)
        unknown = {job: stored for job, stored in ids.items() if job not in known}
        if unknown and feeds_itself(service):
            unknown = await self._without_own(unknown)
        noticed: list[Noticed] = [
            (stored, json.dumps(notice_of(stored)).encode()) for stored in unknown.values()
        ]
        if not noticed:
            return 0
        accepted = await accept_objects(self.backends, noticed, cause=Cause.BACKFILL, only=self.deployed)
        return sum(one.created for one in accepted)

    async def _without_own(self, unknown: dict[JobId, StoredObject]) -> dict[JobId, StoredObject]:
        """Listings need not have marks. What the service wrote itself is remembered, so as to be asked about
        once only."""
        free = asyncio.Semaphore(ASKED_AT_ONCE)
        verdicts = await asyncio.gather(*(self._is_own(stored, free) for stored in unknown.values()))
        own = [job for job, verdict in zip(unknown, verdicts, strict=True) if verdict]
        if own:
            uid, now = self.deployed.uid, self.backends.now()
            await self.backends.ledger.remember(own, service_uid=uid, now=now)
        return {job: stored for job, stored in unknown.items() if job not in frozenset(own)}

    async def _is_own(self, stored: StoredObject, free: asyncio.Semaphore) -> bool:
        async with free:
            try:
                there = await self.backends.objects.stat(stored.bucket, stored.key)
            except NotFound:
                return False
        return there.etag == stored.etag and self._wrote(there)
