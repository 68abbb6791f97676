"""Whether the gateway lives (`/health`) and whether it can do its work (`/ready`)."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.responses import Response

from gateway.api.answers import json_answer, text_answer
from gateway.api.errors import status_of
from gateway.api.operations import Ask
from gateway.backends.connect import Backends
from gateway.domain.problems import Problem, Unavailable

log = structlog.get_logger(__name__)

READY_WITHIN_S = 2.0


async def health(_: Ask) -> Response:
    return text_answer("Ok")


async def ready(ask: Ask) -> Response:
    """Every part that can be away is asked, at the same time. Says which are not ready, without internals."""
    checks = _checks(ask.backends)
    reasons = await asyncio.gather(*(_why_not(name, check) for name, check in checks.items()))
    missing = {name: why for name, why in zip(checks, reasons, strict=True) if why}
    if missing:
        return json_answer({"ready": False, "not_ready": missing}, status=status_of(Unavailable("")))
    return json_answer({"ready": True})


def _checks(backends: Backends) -> dict[str, Callable[[], Awaitable[None]]]:
    return {
        "ledger": backends.ledger.ready,
        "queue": backends.queue.ready,
        "objects": backends.objects.ready,
        "invoker": backends.invoker.ready,
        "launcher": backends.launcher.ready,
    }


async def _why_not(name: str, check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await check()
    except Problem as problem:
        return problem.detail
    except TimeoutError:
        return f"no answer within {READY_WITHIN_S:.0f} s"
    except Exception:
        log.exception("check.broke", part=name)
        return "the check broke; the gateway's log tells more"
    return ""
