"""Accept what the pod of a live attempt brings back: its result, and its report, which the watch settles the
attempt by."""

from collections.abc import AsyncIterator

import structlog

from gateway.actions.hand_out_order import require_live
from gateway.backends.connect import Backends
from gateway.backends.launcher.report import parse_report
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.job import AttemptId, report_key, result_key

log = structlog.get_logger(__name__)


async def keep_result(backends: Backends, attempt: AttemptId, body: AsyncIterator[bytes]) -> None:
    """In place of what was there. Raises Conflict, Unavailable, StorageFull."""
    await require_live(backends, attempt)
    await backends.objects.put(OWN_BUCKET, result_key(attempt), body)


async def accept_report(backends: Backends, attempt: AttemptId, raw: bytes) -> None:
    """Durable when it returns; the last one counts. Raises Conflict, Invalid, Unavailable, StorageFull."""
    await require_live(backends, attempt)
    report = parse_report(raw, attempt)
    await backends.objects.put(OWN_BUCKET, report_key(attempt), _once(raw))
    log.info("attempt.reported", attempt=attempt, reason=report.ending.reason.value)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
