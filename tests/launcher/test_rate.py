"""The rate of creates, on a clock of its own."""

import asyncio

from gateway.backends.launcher.kubernetes.rate import BEGIN_S, LEAST_S, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_it_grows_with_success_up_to_its_bound_and_halves_with_refusal() -> None:
    rate = Rate(50, clock=Clock())
    assert rate.per_second == BEGIN_S
    for _ in range(1000):
        rate.succeeded()
    assert rate.per_second == 50
    rate.refused()
    assert rate.per_second == 25
    for _ in range(20):
        rate.refused()
    assert rate.per_second == LEAST_S


async def test_it_grows_fast_until_the_first_refusal_and_slowly_after() -> None:
    rate = Rate(1000, clock=Clock())
    for _ in range(10):
        rate.succeeded()
    assert rate.per_second == 2 * BEGIN_S
    rate.refused()
    for _ in range(10):
        rate.succeeded()
    assert rate.per_second < 1.1 * BEGIN_S


async def test_a_bound_below_the_beginning_holds_from_the_first() -> None:
    assert Rate(5, clock=Clock()).per_second == 5


async def test_who_asks_too_often_waits_in_order() -> None:
    rate = Rate(20)
    least_s = 9 / 20
    loop = asyncio.get_running_loop()
    came: list[int] = []

    async def ask(number: int) -> None:
        await rate.turn()
        came.append(number)

    began = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(ask(number))
    assert came == list(range(10))
    assert loop.time() - began >= least_s - 0.05


async def test_a_refusal_puts_off_those_who_wait_already() -> None:
    rate = Rate(LEAST_S)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await rate.turn()
    waiting = asyncio.create_task(rate.turn())
    await asyncio.sleep(0)
    rate.refused(retry_after_s=1.3)
    await waiting
    assert loop.time() - began >= 1.29


async def test_nobody_begins_before_the_server_said() -> None:
    rate = Rate(1000)
    rate.refused(retry_after_s=0.3)
    began = asyncio.get_running_loop().time()
    await rate.turn()
    assert asyncio.get_running_loop().time() - began >= 0.29
