"""Keep notifications that nobody can read, with the reason, for a person to look at: refusing them would
have the store send them for ever, in front of everything behind."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

PREFIX = "unreadable-events/"
KEPT_LIMIT = 1 << 20
"""Of each one's bytes."""


async def keep_unreadable(backends: Backends, raw: bytes, why: str, *, size_bytes: int | None = None) -> None:
    """In the gateway's own bucket, under a digest of it, so that repeats are kept once. Raises nothing: what
    cannot be kept is told in the log. `size_bytes` where `raw` is only its beginning."""
    size_bytes = len(raw) if size_bytes is None else size_bytes
    name = f"{PREFIX}{hashlib.sha256(raw).hexdigest()[:32]}.json"
    told = {
        "at": backends.now().isoformat(),
        "why": why,
        "size_bytes": size_bytes,
        "body": raw[:KEPT_LIMIT].decode(errors="backslashreplace"),
    }
    log.warning("notification.unreadable", why=why, size_bytes=size_bytes, kept=name)
    try:
        await backends.objects.put(
            OWN_BUCKET, name, _once(json.dumps(told).encode()), content_type="application/json"
        )
    except Problem as problem:
        log.error("notification.lost", why=problem.detail, kept=name)


async def expire_unreadable(backends: Backends) -> None:
    """Those kept as long as ended jobs are. Raises Unavailable."""
    before = backends.now() - timedelta(seconds=backends.settings.job_retention_s)
    async for page in backends.objects.walk(OWN_BUCKET, prefix=PREFIX):
        for stored in page:
            if stored.modified_at < before:
                await backends.objects.remove(OWN_BUCKET, stored.key)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
