"""Replies on the raw endpoints: passed on as they come, cut off where they stall."""

import asyncio
from collections.abc import Sequence

from starlette.types import Scope, Send

from gateway.api.incoming import header
from gateway.backends.invoker.protocol import Reply
from gateway.domain.problems import TimedOut

HeaderPairs = Sequence[tuple[bytes, bytes]]


def wants_bytes(scope: Scope) -> bool:
    """Whether the client takes files as they are, instead of OSCAR's Base64."""
    return "application/octet-stream" in header(scope, b"accept")


async def pass_on(reply: Reply, send: Send, *, more: HeaderPairs, idle_s: float) -> None:
    """All but the end of the answer. Status and headers go out with the first bytes, so that a reply which
    cannot be read at all becomes a proper error. Raises TimedOut when nothing comes for `idle_s`; an answer
    that has begun is cut off then, so that nobody takes a part for the whole."""
    start = {"type": "http.response.start", "status": reply.status, "headers": [*_pairs(reply), *more]}
    started = False
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(idle_s) as bound:
            async for chunk in reply.body:
                if not started:
                    await send(start)
                    started = True
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                bound.reschedule(loop.time() + idle_s)
    except TimeoutError as error:
        raise TimedOut(f"the answer brought nothing for {idle_s:g} s (IDLE_LIMIT_S)") from error
    if not started:
        await send(start)


def _pairs(reply: Reply) -> HeaderPairs:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
