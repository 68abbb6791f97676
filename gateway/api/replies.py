"""Replies on the raw endpoints: passed on as they come, cut off where they stall."""

import asyncio

from gateway.api.outgoing import Outgoing
from gateway.backends.invoker.protocol import Reply
from gateway.domain.headers import Headers
from gateway.domain.problems import TimedOut


async def pass_on(reply: Reply, outgoing: Outgoing, *, more: Headers, idle_s: float) -> bytes:
    """All but the last piece of the answer, which is returned. Status and headers go out with the first one,
    so that a reply which cannot be read at all becomes a proper error. Raises TimedOut when nothing comes for
    `idle_s`; an answer that has begun is cut off then, so that nobody takes a part for the whole."""
    start = {"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, *more]}
    if isinstance(reply.body, bytes):
        await outgoing.send(start)
        return reply.body
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(idle_s) as bound:
            async for piece in reply.body:
                if not outgoing.status:
                    await outgoing.send(start)
                await outgoing.send({"type": "http.response.body", "body": piece, "more_body": True})
                bound.reschedule(loop.time() + idle_s)
    except TimeoutError as error:
        raise TimedOut(f"the answer brought nothing for {idle_s:g} s (IDLE_LIMIT_S)") from error
    if not outgoing.status:
        await outgoing.send(start)
    return b""
