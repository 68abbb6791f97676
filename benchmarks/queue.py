"""The queue on RabbitMQ: confirmed publishes from 1 and 64 at a time, and how long an announcement takes to a
worker on an idle queue.

The broker is the benchmark's own, from the local package: one node, whose quorum queues confirm a message
when it is on the disk.
"""

import asyncio
import time
from statistics import median

from benchmarks.table import show
from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.queue import RabbitQueue, open_rabbit_queue
from gateway.domain.job import JobId
from tests.servers.rabbitmq import own_rabbitmq

RUNS, SECONDS, ANNOUNCEMENTS = 5, 2.0, 200


async def measure() -> None:
    with own_rabbitmq() as broker:
        await _measure(broker.url)


async def _measure(url: str) -> None:
    async with open_rabbit_queue(url, Layout()) as queue:
        rates: dict[str, list[float]] = {"64 at a time": [], "one after the other": []}
        for _ in range(RUNS):
            rates["64 at a time"].append(await _publishes(queue, 64))
            rates["one after the other"].append(await _publishes(queue, 1))
            await _empty(queue)
        show("confirmed publishes", "messages/s", rates)
        confirmed, delivered = await _announcements(queue)
        show(
            "one announcement, idle queue",
            "ms",
            {"to its delivery": delivered, "to its confirmation": confirmed},
        )


async def _publishes(queue: RabbitQueue, at_once: int) -> float:
    until = time.perf_counter() + SECONDS

    async def publisher(number: int) -> int:
        count = 0
        while time.perf_counter() < until:
            await queue.publish(JobId(f"bench-{number}-{count}"))
            count += 1
        return count

    return sum(await asyncio.gather(*map(publisher, range(at_once)))) / SECONDS


async def _announcements(queue: RabbitQueue) -> tuple[list[float], list[float]]:
    """Milliseconds from the call until it returned, and until a worker had it."""
    confirmed, delivered = [], []

    async def publish(job: JobId, started: float) -> None:
        await queue.publish(job)
        confirmed.append((time.perf_counter() - started) * 1e3)

    async with queue.deliveries(prefetch=8) as deliveries:
        for number in range(ANNOUNCEMENTS):
            started = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(publish(JobId(f"bench-{number}"), started))
                delivery = await anext(deliveries)
                delivered.append((time.perf_counter() - started) * 1e3)
            await delivery.ack()
    for name, times in (("confirmed", confirmed), ("delivered", delivered)):
        print(f"{name}: p50 {median(times):.1f} ms, p95 {sorted(times)[len(times) * 95 // 100]:.1f} ms")
    return confirmed, delivered


async def _empty(queue: RabbitQueue) -> None:
    async with queue.deliveries(prefetch=500) as deliveries:
        while await queue.depth():
            try:
                async with asyncio.timeout(1):
                    while True:
                        await (await anext(deliveries)).ack()
            except TimeoutError:
                continue
