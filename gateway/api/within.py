"""A bound on a wait that costs nothing where there is none: most of what is received is there already, most
of what is sent is taken at once, and a timeout for each would be a tenth of a call's whole cost."""

import asyncio
import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def within(bound_s: float, awaited: Awaitable[T]) -> Generator[Any, Any, T]:
    """What `awaited` gives. Raises TimeoutError; the clock starts when it first waits."""
    steps = awaited.__await__()
    try:
        waiting_for = steps.send(None)
    except StopIteration as at_once:
        value: T = at_once.value
        return value
    return (yield from _bounded(bound_s, _going_on(steps, waiting_for)).__await__())


async def _bounded(bound_s: float, awaited: Awaitable[T]) -> T:
    async with asyncio.timeout(bound_s):
        return await awaited


@types.coroutine
def _going_on(steps: Generator[Any, Any, T], waiting_for: Any) -> Generator[Any, Any, T]:
    """The rest of what stands at its first wait."""
    try:
        while True:
            try:
                given = yield waiting_for
            except BaseException as error:  # a cancellation, most of all, is for what waits
                waiting_for = steps.throw(error)
            else:
                waiting_for = steps.send(given)
    except StopIteration as end:
        value: T = end.value
        return value
