"""Explain waits: what keeps launched attempts from running, into the ledger, where people look."""

import structlog

from gateway.backends.connect import Backends

log = structlog.get_logger(__name__)


async def explain_waits(backends: Backends) -> None:
    """Of the attempts that this process's launcher sees. Raises Unavailable."""
    hindrances = backends.launcher.hindrances()
    if not hindrances:
        return
    for job in await backends.ledger.live():
        why = hindrances.get(job.attempt_id)
        if why is not None and why != job.reason and await backends.ledger.explain(job.attempt_id, why):
            log.info("attempt.hindered" if why else "attempt.unhindered", attempt=job.attempt_id, why=why)
