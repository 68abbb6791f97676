"""What every queue promises, whatever it is made of: a new one starts by adding its name to QUEUES."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from gateway.backends.queue.memory import MemoryQueue
from gateway.backends.queue.protocol import Delivery, Queue
from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.queue import open_rabbit_queue
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable
from tests.polling import until
from tests.servers.rabbitmq import Broker, rabbitmq

QUEUES = ["memory", pytest.param("rabbitmq", marks=[pytest.mark.services, pytest.mark.timeout(90)])]
SOON_S = 5.0
"""Longest wait for something that must come."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with rabbitmq() as broker:
        yield broker


@pytest.fixture(params=QUEUES)
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    match request.param:
        case "memory":
            yield MemoryQueue()
        case "rabbitmq":
            url = request.getfixturevalue("broker").url
            layout = Layout(f"contract-{os.urandom(4).hex()}", retry_after_s=(0.2, 0.4))
            async with open_rabbit_queue(url, layout) as queue:
                await until(partial(is_ready, queue))
                yield queue
        case other:
            raise ValueError(other)


async def is_ready(queue: Queue) -> bool:
    """A busy machine may take more than one try to make a broker's queues."""
    try:
        await queue.ready()
    except Unavailable:
        return False
    return True


async def publish(queue: Queue, *names: str) -> None:
    for name in names:
        await queue.publish(JobId(name))


async def take(deliveries: AsyncIterator[Delivery]) -> Delivery:
    async with asyncio.timeout(SOON_S):
        return await anext(deliveries)


async def waits(queue: Queue, count: int) -> None:
    """So many messages wait, at the latest soon: a broker tells of what has just happened a moment later."""

    async def so_many() -> bool:
        return await queue.depth() == count

    await until(so_many, within_s=SOON_S)


async def nothing_comes(deliveries: AsyncIterator[Delivery]) -> bool:
    """Whether the loop, run until it has nothing left to do, brings no delivery."""
    waiting = asyncio.ensure_future(anext(deliveries))
    await asyncio.wait([waiting], timeout=0.05)
    came = waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    return not came


async def test_what_was_published_is_delivered_in_order(queue: Queue) -> None:
    await publish(queue, "a", "b", "c")

    async with queue.deliveries(prefetch=8) as deliveries:
        taken = [await take(deliveries) for _ in range(3)]

        assert [delivery.job for delivery in taken] == ["a", "b", "c"]


async def test_a_consumer_waits_for_what_is_published_later(queue: Queue) -> None:
    async with queue.deliveries(prefetch=1) as deliveries, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(take(deliveries))
        await asyncio.sleep(0)
        await publish(queue, "a")

        assert (await waiting).job == "a"


async def test_the_depth_is_what_waits_not_what_is_in_hand(queue: Queue) -> None:
    await publish(queue, "a", "b", "c")

    async with queue.deliveries(prefetch=1) as deliveries:
        await take(deliveries)

        await waits(queue, 2)


async def test_an_acknowledged_delivery_never_comes_again(queue: Queue) -> None:
    await publish(queue, "a")
    async with queue.deliveries(prefetch=1) as deliveries:
        await (await take(deliveries)).ack()
        assert await nothing_comes(deliveries)

    await waits(queue, 0)


async def test_a_delivery_given_back_comes_again(queue: Queue) -> None:
    await publish(queue, "a")
    async with queue.deliveries(prefetch=1) as deliveries:
        await (await take(deliveries)).give_back()

        assert (await take(deliveries)).job == "a"


async def test_leaving_gives_back_what_was_not_acknowledged(queue: Queue) -> None:
    await publish(queue, "a", "b", "c")
    async with queue.deliveries(prefetch=8) as deliveries:
        first = await take(deliveries)
        await take(deliveries)
        await first.ack()

    async with queue.deliveries(prefetch=8) as deliveries:
        again = [await take(deliveries) for _ in range(2)]

        assert {delivery.job for delivery in again} == {"b", "c"}


async def test_a_consumer_that_breaks_gives_back_what_it_had(queue: Queue) -> None:
    await publish(queue, "a")
    with pytest.raises(RuntimeError):
        async with queue.deliveries(prefetch=1) as deliveries:
            await take(deliveries)
            raise RuntimeError

    await waits(queue, 1)


async def test_no_more_than_the_prefetch_is_in_hand(queue: Queue) -> None:
    await publish(queue, "a", "b", "c", "d")
    async with queue.deliveries(prefetch=2) as deliveries:
        first, second = await take(deliveries), await take(deliveries)
        assert await nothing_comes(deliveries)

        await second.ack()
        assert (await take(deliveries)).job == "c"
        assert await nothing_comes(deliveries)

        await first.give_back()
        assert (await take(deliveries)).job == "d"


async def test_a_second_word_about_a_delivery_is_not_heard(queue: Queue) -> None:
    await publish(queue, "a", "b", "c")
    async with queue.deliveries(prefetch=1) as deliveries:
        first = await take(deliveries)
        await first.ack()
        await first.ack()
        await first.give_back()
        second = await take(deliveries)

        assert second.job == "b"
        assert await nothing_comes(deliveries)
    await second.ack()
    await second.give_back()

    await waits(queue, 2)


async def test_a_job_in_hand_can_be_published_again(queue: Queue) -> None:
    await publish(queue, "a")
    async with queue.deliveries(prefetch=2) as deliveries:
        await take(deliveries)
        await publish(queue, "a")

        assert (await take(deliveries)).job == "a"


async def test_two_idle_consumers_take_turns(queue: Queue) -> None:
    async with (
        queue.deliveries(prefetch=8) as one,
        queue.deliveries(prefetch=8) as other,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(take(one))
        second = tasks.create_task(take(other))
        await asyncio.wait([first, second], timeout=0.01)
        await publish(queue, "a", "b")

        assert ((await first).job, (await second).job) == ("a", "b")


async def test_two_busy_consumers_share_what_waits(queue: Queue) -> None:
    await publish(queue, *(f"job-{number:03}" for number in range(100)))
    counts = [0, 0]

    async def work(worker: int) -> None:
        async with queue.deliveries(prefetch=4) as deliveries:
            async for delivery in deliveries:
                await delivery.ack()
                counts[worker] += 1
                if sum(counts) == 100:
                    done.set()

    done = asyncio.Event()
    workers = [asyncio.ensure_future(work(worker)) for worker in range(2)]
    async with asyncio.timeout(SOON_S):
        await done.wait()
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)

    assert sum(counts) == 100
    assert min(counts) >= 25


async def test_a_consumer_that_stops_waiting_takes_nothing_along(queue: Queue) -> None:
    async with queue.deliveries(prefetch=1) as deliveries:
        for number in range(20):
            waiting = asyncio.ensure_future(anext(deliveries))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            # Handed over and cancelled at once: whichever is first, the job is not lost.
            await publish(queue, f"job-{number}")
            waiting.cancel()
            await asyncio.wait([waiting])
            delivery = waiting.result() if not waiting.cancelled() else await take(deliveries)
            assert delivery.job == f"job-{number}"
            await delivery.ack()


async def test_a_queue_in_service_is_ready(queue: Queue) -> None:
    await queue.ready()


class TestMemory:
    """What only the queue in this process promises: nobody else can be told."""

    async def test_an_id_that_waits_is_kept_once(self) -> None:
        queue = MemoryQueue()
        await publish(queue, "a", "b", "a")

        assert await queue.depth() == 2
        async with queue.deliveries(prefetch=1) as deliveries:
            assert (await take(deliveries)).job == "a"

    async def test_a_full_queue_takes_no_more_until_there_is_room(self) -> None:
        queue = MemoryQueue(limit=2)
        await publish(queue, "a", "b")

        with pytest.raises(Unavailable) as refused:
            await publish(queue, "c")
        await publish(queue, "a")
        async with queue.deliveries(prefetch=1) as deliveries:
            await (await take(deliveries)).ack()
            await publish(queue, "c")

        assert refused.value.retry_after_s == 1
        assert await queue.depth() == 2
