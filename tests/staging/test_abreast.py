"""Work abreast: bounded, in order, nothing left going on behind a failure."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.domain.problems import Unavailable
from gateway.staging.abreast import abreast


async def test_what_is_made_comes_in_the_order_of_what_was_given() -> None:
    async def work(n: int) -> int:
        for _ in range(10 - n):
            await asyncio.sleep(0)
        return n * n

    assert await abreast(work, range(10), at_once=4) == [n * n for n in range(10)]


async def test_no_more_than_so_many_are_worked_on_and_drawn() -> None:
    drawn, over = 0, 0

    def given() -> Iterator[int]:
        nonlocal drawn
        for n in range(50):
            drawn += 1
            yield n

    async def work(_: int) -> int:
        nonlocal over
        running = drawn - over
        await asyncio.sleep(0)
        over += 1
        return running

    assert max(await abreast(work, given(), at_once=4)) == 4


async def test_after_a_failure_nothing_is_begun_and_what_was_ends_first() -> None:
    begun, ended = [], []
    go = asyncio.Event()

    async def work(n: int) -> None:
        begun.append(n)
        if n == 2:
            go.set()
            raise Unavailable("away")
        await go.wait()
        await asyncio.sleep(0)
        ended.append(n)

    with pytest.raises(Unavailable, match="away"):
        await abreast(work, range(50), at_once=3)
    assert (begun, sorted(ended)) == ([0, 1, 2], [0, 1])
