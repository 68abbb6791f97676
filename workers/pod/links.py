"""Links for PUTs, asked of the gateway together: what is wished for while one request is on its way goes with
the next one."""

import asyncio
from typing import Any

from gateway.domain.problems import Problem
from workers.pod.gateway import Gateway

Link = dict[str, Any]
MOST = 256
"""Of one request; the gateway's own limit is above it."""


class PutLinks:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._turn = asyncio.Lock()
        self._wished: list[tuple[dict[str, str], asyncio.Future[Link]]] = []

    async def get(self, bucket: str, key: str, kind: str) -> Link:
        """See `actions.link_objects`. Raises what `Gateway.links` does, to all whose wishes went together."""
        wish = {"method": "PUT", "bucket": bucket, "key": key, "content_type": kind}
        found: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._wished.append((wish, found))
        async with self._turn:
            # Somebody before us in the queue may have asked for ours too.
            while not found.done():
                await self._ask()
        return found.result()

    async def _ask(self) -> None:
        asked = self._wished[:MOST]
        try:
            links = await self._gateway.links([wish for wish, _ in asked])
        except Problem as problem:
            for _, found in asked:
                found.set_exception(problem)
        else:
            for (_, found), link in zip(asked, links, strict=True):
                found.set_result(link)
        # Not before: where we are cancelled on the way, the next one asks for the others'.
        del self._wished[: len(asked)]
