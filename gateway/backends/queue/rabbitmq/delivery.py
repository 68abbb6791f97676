"""A delivery: a message in a worker's hands, and the three ways out of them."""

import asyncio
from collections.abc import Callable

import structlog
from aio_pika.abc import AbstractIncomingMessage

from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.message import Announcement, dead_letter, encode
from gateway.backends.queue.rabbitmq.publisher import Publisher
from gateway.backends.queue.rabbitmq.refusal import told_plainly
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable

log = structlog.get_logger(__name__)

SETTLE_S = 5.0
"""For a word to the broker about a delivery. One that does not arrive makes the message come again."""


class RabbitDelivery:
    """`let_go` tells whether it was still in hand; `release` makes room for the next."""

    def __init__(
        self,
        message: AbstractIncomingMessage,
        announcement: Announcement,
        outlets: "Outlets",
        *,
        let_go: Callable[["RabbitDelivery"], bool],
        release: Callable[[], None],
    ) -> None:
        self._message = message
        self._announcement = announcement
        self._outlets = outlets
        self._let_go = let_go
        self._release = release

    @property
    def job(self) -> JobId:
        return self._announcement.job

    async def ack(self) -> None:
        if self._let_go(self):
            try:
                await acknowledge(self._message)
            finally:
                self._release()

    async def give_back(self) -> None:
        """To the queue it comes back from after a while, the longer the oftener it was given back; at last to
        the dead letters."""
        if self._let_go(self):
            try:
                await self._outlets.put_off(self._message, self._announcement)
            finally:
                self._release()


class Outlets:
    """Where a message goes that was not worked on: published there and confirmed before it is acknowledged,
    so that it may come twice but never gets lost."""

    def __init__(self, publisher: Publisher, layout: Layout) -> None:
        self._publisher = publisher
        self._layout = layout

    async def put_off(self, message: AbstractIncomingMessage, announcement: Announcement) -> None:
        tier = announcement.returns
        if tier >= len(self._layout.retry_after_s):
            await self.park(message, returns=tier, reason=f"given back {tier + 1} times")
            return
        later = encode(Announcement(announcement.job, tier + 1))
        try:
            await self._publisher.publish(later, self._layout.retry_name(tier))
        except Unavailable as problem:
            await _requeue(message, problem)
        else:
            await acknowledge(message)

    async def park(self, message: AbstractIncomingMessage, *, returns: int, reason: str) -> None:
        """To the dead letters, with the reason."""
        log.warning("message.parked", why=reason, returns=returns, size_bytes=len(message.body))
        letter = dead_letter(message.body, content_type=message.content_type, returns=returns, reason=reason)
        try:
            await self._publisher.publish(letter, self._layout.dead_name)
        except Unavailable as problem:
            await _requeue(message, problem)
        else:
            await acknowledge(message)


async def acknowledge(message: AbstractIncomingMessage) -> None:
    """On the channel that delivered it. Where that is gone the message comes again, which is harmless."""
    try:
        with told_plainly():
            async with asyncio.timeout(SETTLE_S):
                await message.ack()
    except Unavailable as problem:
        log.info("message.repeats", why=problem.detail)


async def _requeue(message: AbstractIncomingMessage, problem: Unavailable) -> None:
    """Back to where it came from, at once: the layout's delivery limit keeps that from going on for ever."""
    log.info("message.repeats", why=problem.detail)
    try:
        with told_plainly():
            async with asyncio.timeout(SETTLE_S):
                await message.nack(requeue=True)
    except Unavailable:
        return
