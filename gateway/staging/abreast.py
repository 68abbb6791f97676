"""Abreast: the same work on many things, some at a time, in no thread of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


async def abreast(
    work: Callable[[Given], Awaitable[Made]], given: Iterable[Given], *, at_once: int
) -> list[Made]:
    """What `work` makes of each, in their order; `given` is drawn from as there is room. After a failure
    nothing more is begun; it is raised when all that was begun is over, so that nothing goes on behind it."""
    left = enumerate(given)
    made: dict[int, Made] = {}
    failures: list[BaseException] = []

    async def lane() -> None:
        while not failures and (one := next(left, None)) is not None:
            try:
                made[one[0]] = await work(one[1])
            except Exception as failure:
                failures.append(failure)

    await asyncio.gather(*(lane() for _ in range(at_once)))
    if failures:
        raise failures[0]
    return [made[index] for index in range(len(made))]
