"""Declaring the layout on a broker: makes what is missing, refuses what is there and differs."""

from aio_pika import Channel

from gateway.backends.queue.rabbitmq.layout import Layout


async def declare(channel: Channel, layout: Layout) -> None:
    """Idempotent. Raises the client's ChannelPreconditionFailed, which names queue, argument and both values;
    the channel is closed by it."""
    for definition in layout.definitions():
        await channel.declare_queue(definition.name, durable=True, arguments=definition.arguments)


async def waiting(channel: Channel, name: str) -> int:
    """How many messages wait in a queue, those in hand not counted."""
    queue = await channel.declare_queue(name, durable=True, passive=True)
    return queue.declaration_result.message_count or 0
