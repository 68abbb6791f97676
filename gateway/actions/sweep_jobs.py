"""Sweep the ledger: whatever a message, a timer or a process forgot is found here. Each step may be
repeated at will."""

from datetime import timedelta

import structlog

from gateway.actions.announce_jobs import announce_jobs
from gateway.actions.discard_jobs import discard_jobs
from gateway.actions.find_service import current_service
from gateway.actions.remove_service import clear_service
from gateway.actions.settle_attempt import admit_waiting
from gateway.backends.connect import Backends
from gateway.domain.job import FINAL_STATES
from gateway.domain.problems import Unavailable

log = structlog.get_logger(__name__)

BATCH = 500
FIRST_ANNOUNCEMENT_S = 5.0
"""A job queued for longer was never announced, or waits behind many: announcing it once more is harmless."""
ANNOUNCEMENT_LIFE_S = 600.0
"""After this a message is taken for lost."""
EMPTY_QUEUE_LIFE_S = 10.0
"""The same while nothing waits in the queue: a broker's data was lost, or its queue was purged or deleted."""


async def announce_due(backends: Backends) -> None:
    """Jobs whose retry time has come, and queued ones whose message may be missing."""
    now = backends.now()
    await announce_jobs(backends, await backends.ledger.due(now=now, limit=BATCH))
    life_s = EMPTY_QUEUE_LIFE_S if await _queue_is_empty(backends) else ANNOUNCEMENT_LIFE_S
    stale = await backends.ledger.unannounced(
        queued_before=now - timedelta(seconds=FIRST_ANNOUNCEMENT_S),
        announced_before=now - timedelta(seconds=life_s),
        limit=BATCH,
    )
    published = await announce_jobs(backends, stale)
    if published:
        await backends.ledger.announced(stale[:published], now=now)
    await admit_waiting(backends)


async def _queue_is_empty(backends: Backends) -> bool:
    try:
        return await backends.queue.depth() == 0
    except Unavailable:
        return False


async def announce_all(backends: Backends) -> None:
    """Every queued job: for a queue that starts empty."""
    await backends.ledger.forget_announcements()
    while True:
        now = backends.now()
        found = await backends.ledger.unannounced(queued_before=now, announced_before=now, limit=BATCH)
        published = await announce_jobs(backends, found)
        await backends.ledger.announced(found[:published], now=now)
        if len(found) < BATCH or published < len(found):
            return


async def expire_jobs(backends: Backends) -> None:
    """Discard what was kept long enough, and the jobs of services that are gone."""
    now = backends.now()
    before = now - timedelta(seconds=backends.settings.job_retention_s)
    while found := await backends.ledger.finished(before=before, states=FINAL_STATES, limit=BATCH):
        if not await discard_jobs(backends, found):
            break
    await backends.ledger.forget_keys(now=now)
    for name, uid in await backends.ledger.services():
        if await _is_gone(backends, name=name, uid=uid):
            await clear_service(backends, name=name, uid=uid)


async def _is_gone(backends: Backends, *, name: str, uid: str) -> bool:
    """Surely: one whose definition cannot be read now is not, and keeps no other from being looked at."""
    try:
        return await current_service(backends, name=name, uid=uid) is None
    except Unavailable as problem:
        log.warning("service.uncertain", service=name, why=problem.detail)
        return False
