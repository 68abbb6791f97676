"""Check the parts that can be away: which of them a process cannot do its work with, and why."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.backends.connect import Backends
from gateway.domain.problems import Problem

log = structlog.get_logger(__name__)

WITHIN_S = 2.0


async def check_parts(backends: Backends) -> dict[str, str]:
    """Why not, by part; empty when everything is ready. All are asked at the same time, none for longer than
    `WITHIN_S`; the reasons tell nothing internal."""
    checks = _checks(backends)
    reasons = await asyncio.gather(*(_why_not(name, check) for name, check in checks.items()))
    return {name: why for name, why in zip(checks, reasons, strict=True) if why}


def impaired(backends: Backends, missing: dict[str, str]) -> dict[str, str]:
    """Those of the missing parts that a gateway can do without for a while: it accepts, and workers of their
    own go on when the parts are back. Where it does the work itself there are none."""
    spared = () if backends.settings.embedded else ("queue", "launcher")
    return {name: missing[name] for name in spared if name in missing}


def _checks(backends: Backends) -> dict[str, Callable[[], Awaitable[None]]]:
    return {
        "registry": backends.registry.ready,
        "ledger": backends.ledger.ready,
        "queue": backends.queue.ready,
        "objects": backends.objects.ready,
        "invoker": backends.invoker.ready,
        "launcher": backends.launcher.ready,
    }


async def _why_not(name: str, check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(WITHIN_S):
            await check()
    except Problem as problem:
        return problem.detail
    except TimeoutError:
        return f"no answer within {WITHIN_S:.0f} s"
    except Exception:
        log.exception("check.broke", part=name)
        return "the check broke; the process's log tells more"
    return ""
