"""A connection that dies: what a process that is killed, or cut off, in the middle of a deploy leaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from gateway.backends.cluster.sending import Sending
from gateway.domain.problems import Unavailable

WRITES = ("POST", "PUT", "DELETE")


class Dying:
    """Lets so many writes through; the next is not answered, done or not, and nothing goes through after."""

    def __init__(self, living: Sending, *, writes: int, last_is_done: bool) -> None:
        self._living = living
        self._left = writes
        self._last_is_done = last_is_done
        self.dead = False

    @asynccontextmanager
    async def request(self, method: str, path: str, **rest: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        if self.dead:
            raise Unavailable("dead")
        if method in WRITES:
            self._left -= 1
        if self._left < 0:
            self.dead = True
            if self._last_is_done:
                async with self._living.request(method, path, **rest):
                    pass
            raise Unavailable("dead")
        async with self._living.request(method, path, **rest) as answer:
            yield answer
