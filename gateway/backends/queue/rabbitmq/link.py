"""A link: one named connection with one channel, opened when it is first needed and again when it was lost.

Not the client's own robust connection: that one goes on in the background and waits where a caller should be
told, and what it restores after a loss is what it remembers, not what the broker then has.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from aio_pika import Channel, Connection, connect

from gateway.backends.queue.rabbitmq.refusal import AMQP_ERRORS, told_plainly
from gateway.domain.problems import Unavailable

log = structlog.get_logger(__name__)

OPEN_S = 4.0
CLOSE_S = 1.0
PAUSE_S = 1.0
"""After opening failed, callers are told so at once for so long. It also keeps a queue that was deleted from
being made again at once: RabbitMQ 3.10 then leaves consumers of the old one hanging, without a word."""
HEARTBEAT_S = 20

Prepare = Callable[[Channel], Awaitable[None]]


class Link:
    """`prepare` is run on every channel it opens, before anybody gets it."""

    def __init__(self, url: str, name: str, prepare: Prepare) -> None:
        self._url = url
        self._name = name
        self._prepare = prepare
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._refusal: Unavailable | None = None
        self._refused_until = 0.0

    async def channel(self) -> Channel:
        """The open channel. Raises Unavailable, after OPEN_S at the latest; at once where opening has just
        failed, or is being tried again."""
        if (channel := self._open_channel()) is not None:
            return channel
        if self._refusal is not None and (self._opening.locked() or self._now() < self._refused_until):
            raise Unavailable(self._refusal.detail, retry_after_s=self._refusal.retry_after_s)
        async with self._opening:
            return self._open_channel() or await self._open()

    async def blocked(self) -> bool:
        """Whether the broker holds back what is published: its memory or disk alarm is on."""
        if self._connection is None or self._connection.transport is None:
            return False
        try:
            async with asyncio.timeout(0):
                await self._connection.transport.ready()
        except TimeoutError:
            return True
        return False

    def lose(self, problem: Unavailable | None = None) -> None:
        """Trust it no more: the next caller opens it again, with a problem not before PAUSE_S."""
        self._channel = None
        if problem is not None:
            self._note_refusal(problem)

    async def drop(self) -> None:
        """Close it, without leave where the broker does not answer; the next caller opens it again."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await connection.close()
        except AMQP_ERRORS:
            log.debug("broker.left", connection=self._name)

    def _open_channel(self) -> Channel | None:
        channel = self._channel
        return None if channel is None or channel.is_closed else channel

    async def _open(self) -> Channel:
        await self.drop()
        try:
            with told_plainly():
                async with asyncio.timeout(OPEN_S):
                    channel = await self._connect()
        except Unavailable as problem:
            await self.drop()
            self._note_refusal(problem)
            raise
        except BaseException:
            await self.drop()
            raise
        self._channel, self._refusal = channel, None
        return channel

    async def _connect(self) -> Channel:
        connection = self._connection = await connect(
            self._url,
            heartbeat=HEARTBEAT_S,
            client_properties={"connection_name": f"oscar-gateway {self._name}"},
        )
        channel = cast(Channel, connection.channel(publisher_confirms=True, on_return_raises=True))
        await channel.initialize()
        await self._prepare(channel)
        log.info("broker.connected", connection=self._name, version=_version(connection))
        return channel

    def _note_refusal(self, problem: Unavailable) -> None:
        """In the log when it is news."""
        if self._refusal is None or self._refusal.detail != problem.detail:
            log.warning("broker.away", connection=self._name, why=problem.detail)
        self._refusal = problem
        self._refused_until = self._now() + PAUSE_S

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _version(connection: Connection) -> str:
    transport = connection.transport
    return str(transport.connection.server_properties.get("version")) if transport else ""
