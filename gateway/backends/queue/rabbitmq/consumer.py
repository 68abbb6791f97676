"""The consuming side: one worker's deliveries, on a connection of its own, watched.

A connection that lives is not enough: a consumer may have been cancelled by the broker, forgotten after a
failover, or sit behind a link that swallows everything. So nothing is taken for granted that has been silent
for CHECK_S: the consumer must still be there, the broker must answer, and a queue in which messages wait must
not leave a worker with free hands without any.
"""

import asyncio
from contextlib import suppress

import structlog
from aio_pika import Channel
from aio_pika.abc import AbstractIncomingMessage

from gateway.backends.queue.protocol import Delivery
from gateway.backends.queue.rabbitmq.definitions import declare, waiting
from gateway.backends.queue.rabbitmq.delivery import Outlets, RabbitDelivery
from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.link import Link
from gateway.backends.queue.rabbitmq.message import decode
from gateway.backends.queue.rabbitmq.refusal import told_plainly
from gateway.domain.problems import Invalid, Unavailable

log = structlog.get_logger(__name__)

CHECK_S = 2.0
ANSWER_S = 3.0
RECONNECT_S = 1.0
GONE = Unavailable("the broker cancelled the consumer", retry_after_s=1)
STRIKES = 2
"""Checks in a row that find messages waiting and none delivered: one may be a moment between two."""


class Consumer:
    """Waits through outages; never raises for the broker. After leaving, a word about a delivery comes too
    late."""

    def __init__(self, url: str, layout: Layout, outlets: Outlets, *, prefetch: int) -> None:
        self._layout = layout
        self._outlets = outlets
        self._prefetch = prefetch
        self._link = Link(url, "consuming", self._subscribe)
        self._free = asyncio.Semaphore(prefetch)
        self._in_hand: set[RabbitDelivery] = set()
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._strikes = 0

    async def enter(self) -> None:
        """In line for deliveries, if the broker is there."""
        with suppress(Unavailable):
            await self._link.channel()

    async def leave(self) -> None:
        """The broker gives what was in hand to others once the connection is closed."""
        self._in_hand.clear()
        await self._link.drop()

    def __aiter__(self) -> "Consumer":
        return self

    async def __anext__(self) -> Delivery:
        await self._free.acquire()
        try:
            return await self._next()
        except BaseException:
            self._free.release()
            raise

    async def _next(self) -> Delivery:
        while True:
            channel = await self._channel()
            message = await self._arrival(channel)
            if message is None:
                continue
            try:
                announcement = decode(message.body, message.headers)
            except Invalid as problem:
                await self._outlets.park(message, returns=0, reason=problem.detail)
                continue
            delivery = RabbitDelivery(
                message, announcement, self._outlets, let_go=self._let_go, release=self._free.release
            )
            self._in_hand.add(delivery)
            return delivery

    async def _channel(self) -> Channel:
        while True:
            try:
                return await self._link.channel()
            except Unavailable:
                await asyncio.sleep(RECONNECT_S)

    async def _arrival(self, channel: Channel) -> AbstractIncomingMessage | None:
        """The next message; None when there is none yet, after having looked why."""
        try:
            async with asyncio.timeout(CHECK_S):
                message = await self._arrived.get()
        except TimeoutError:
            await self._check(channel)
            return None
        self._strikes = 0
        return message

    async def _check(self, channel: Channel) -> None:
        """Nothing came for a while though our hands are free: reopens, unless there is nothing for us."""
        why = await self._stalled(channel)
        if why:
            log.warning("consumer.reopened", why=why)
            self._link.lose()

    async def _stalled(self, channel: Channel) -> str:
        try:
            with told_plainly():
                async with asyncio.timeout(ANSWER_S):
                    count = await waiting(channel, self._layout.name)
        except Unavailable as problem:
            return problem.detail
        self._strikes = self._strikes + 1 if count else 0
        return f"{count} messages wait and none was delivered" if self._strikes >= STRIKES else ""

    async def _subscribe(self, channel: Channel) -> None:
        """What arrived over an earlier channel can no longer be acknowledged: it comes again."""
        self._arrived = arrived = asyncio.Queue[AbstractIncomingMessage]()
        self._strikes = 0
        await declare(channel, self._layout)
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await channel.get_queue(self._layout.name, ensure=False)
        underlay = await channel.get_underlay_channel()
        # The broker cancels a consumer when its queue was deleted, or has lost its leader.
        underlay.on_consumer_cancel_callbacks.add(lambda _: self._link.lose(GONE))
        await queue.consume(arrived.put)

    def _let_go(self, delivery: RabbitDelivery) -> bool:
        if delivery not in self._in_hand:
            return False
        self._in_hand.remove(delivery)
        return True
