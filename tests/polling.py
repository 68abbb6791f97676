"""Waiting for a condition inside a test's own loop, with a bound."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object]], *, within_s: float = 10.0) -> None:
    """Returns once the condition is true; TimeoutError when it was not in time."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110  # that is what it is for
            await asyncio.sleep(0.02)
