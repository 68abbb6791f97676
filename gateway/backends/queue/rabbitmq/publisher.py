"""The publishing side: one connection of its own, since an alarm of the broker holds up whoever publishes.

A message is published when the broker has confirmed it: for a quorum queue, when a majority has it on disk.
"""

import asyncio

from aio_pika import Channel, Message
from aio_pika.exceptions import PublishError

from gateway.backends.queue.rabbitmq.definitions import declare, waiting
from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.link import Link
from gateway.backends.queue.rabbitmq.refusal import BLOCKED, told_plainly
from gateway.domain.problems import Unavailable

PUBLISH_S = 5.0


class Publisher:
    def __init__(self, url: str, layout: Layout) -> None:
        self._layout = layout
        self._link = Link(url, "publishing", self._declare)

    async def publish(self, message: Message, queue: str) -> None:
        """Returns when the broker has it. Raises Unavailable within PUBLISH_S; after a silence the broker may
        or may not have the message."""
        await self._require_unblocked()
        try:
            with told_plainly():
                async with asyncio.timeout(PUBLISH_S):
                    channel = await self._link.channel()
                    await channel.default_exchange.publish(message, routing_key=queue, mandatory=True)
        except Unavailable as problem:
            await self._look_why(problem)
            raise

    async def depth(self) -> int:
        """Messages that wait, those that wait for their next try among them. Raises Unavailable."""
        await self._require_unblocked()
        names = [self._layout.name, *map(self._layout.retry_name, range(len(self._layout.retry_after_s)))]
        with told_plainly():
            async with asyncio.timeout(PUBLISH_S):
                channel = await self._link.channel()
                return sum([await waiting(channel, name) for name in names])

    async def ready(self) -> None:
        """Raises Unavailable with the reason."""
        await self.depth()

    async def close(self) -> None:
        await self._link.drop()

    async def _look_why(self, problem: Unavailable) -> None:
        """Raises the better reason for a silence, if there is one; else the link is not trusted any more."""
        match problem.__cause__:
            case TimeoutError():
                await self._require_unblocked()
                self._link.lose()
            case PublishError():
                # Somebody deleted the queue: what is missing is made when the link opens.
                self._link.lose(problem)

    async def _require_unblocked(self) -> None:
        if await self._link.blocked():
            raise Unavailable(BLOCKED, retry_after_s=1)

    async def _declare(self, channel: Channel) -> None:
        await declare(channel, self._layout)
