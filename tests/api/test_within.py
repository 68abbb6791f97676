"""A bound that costs nothing where nothing is waited for."""

import asyncio

import pytest

from gateway.api.within import within


async def value(after_s: float) -> str:
    if after_s:
        await asyncio.sleep(after_s)
    await asyncio.sleep(0)
    return "there"


async def failing() -> None:
    await asyncio.sleep(0.01)
    raise LookupError("gone")


@pytest.mark.parametrize("after_s", [0, 0.01])
async def test_what_comes_in_time_is_given(after_s: float) -> None:
    assert await within(5, value(after_s)) == "there"


async def test_what_does_not_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        await within(0.01, value(5))


async def test_what_fails_after_a_wait_fails_as_it_would_without() -> None:
    with pytest.raises(LookupError):
        await within(5, failing())


async def test_cancelling_reaches_what_is_waited_for() -> None:
    cancelled = asyncio.Event()

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def bounded() -> None:
        await within(5, waiting())

    task = asyncio.create_task(bounded())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()
