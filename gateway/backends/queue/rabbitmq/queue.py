"""The queue on RabbitMQ, put together: one publisher for the process, a consumer for each `deliveries`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.backends.queue.protocol import Delivery
from gateway.backends.queue.rabbitmq.consumer import Consumer
from gateway.backends.queue.rabbitmq.delivery import Outlets
from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.message import Announcement, encode
from gateway.backends.queue.rabbitmq.publisher import Publisher
from gateway.domain.job import JobId


class RabbitQueue:
    """Connects when it is first used: a broker that is away keeps nothing from starting."""

    def __init__(self, url: str, layout: Layout) -> None:
        self._url = url
        self._layout = layout
        self._publisher = Publisher(url, layout)

    async def publish(self, job: JobId) -> None:
        await self._publisher.publish(encode(Announcement(job)), self._layout.name)

    @asynccontextmanager
    async def deliveries(self, *, prefetch: int) -> AsyncIterator[AsyncIterator[Delivery]]:
        outlets = Outlets(self._publisher, self._layout)
        consumer = Consumer(self._url, self._layout, outlets, prefetch=prefetch)
        await consumer.enter()
        try:
            yield consumer
        finally:
            await consumer.leave()

    async def depth(self) -> int:
        """Those that wait for their next try count; those a worker has fetched do not."""
        return await self._publisher.depth()

    async def ready(self) -> None:
        await self._publisher.ready()

    async def close(self) -> None:
        await self._publisher.close()


@asynccontextmanager
async def open_rabbit_queue(url: str, layout: Layout | None = None) -> AsyncIterator[RabbitQueue]:
    """`url` is amqp(s)://user:password@host:port/vhost; TLS files by `cafile`, `certfile`, `keyfile` in its
    query. Nothing is asked of the broker before the first use."""
    queue = RabbitQueue(url, layout or Layout())
    try:
        yield queue
    finally:
        await queue.close()
