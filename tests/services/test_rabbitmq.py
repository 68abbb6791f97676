"""The queue on a real RabbitMQ that is broken in every way we know of."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from gateway.backends.queue.protocol import Delivery
from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.message import REASON_HEADER, RETURNS_HEADER
from gateway.backends.queue.rabbitmq.queue import RabbitQueue, open_rabbit_queue
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable
from tests.polling import until
from tests.servers.gate import gate_to
from tests.servers.rabbitmq import Broker, own_rabbitmq

pytestmark = [pytest.mark.services, pytest.mark.timeout(90)]

RESUMED_S = 10.0
"""Work goes on at the latest so long after the broker is back."""
REFUSED_S = 5.5
"""A publish is refused at the latest after so long."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with own_rabbitmq() as broker:
        yield broker


@pytest.fixture
def layout() -> Layout:
    return Layout(f"jobs-{os.urandom(4).hex()}", retry_after_s=(0.1, 0.2))


@pytest.fixture
async def queue(broker: Broker, layout: Layout) -> AsyncIterator[RabbitQueue]:
    async with open_rabbit_queue(broker.url, layout) as queue:
        yield queue


@asynccontextmanager
async def raw_channel(broker: Broker) -> AsyncIterator[AbstractChannel]:
    """A foreign client of the same broker."""
    connection = await aio_pika.connect(broker.url)
    async with connection, connection.channel() as channel:
        yield channel


async def take(deliveries: AsyncIterator[Delivery], *, within_s: float = RESUMED_S) -> Delivery:
    async with asyncio.timeout(within_s):
        return await anext(deliveries)


async def dead_letter(broker: Broker, layout: Layout, *, within_s: float = RESUMED_S) -> Any:
    """The next message parked."""
    async with raw_channel(broker) as channel, asyncio.timeout(within_s):
        dead = await channel.get_queue(layout.dead_name)
        while (message := await dead.get(no_ack=True, fail=False)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return message


async def refusal(queue: RabbitQueue) -> str:
    """Why the queue is not ready; the reason itself, once it is known."""
    with pytest.raises(Unavailable) as refused:
        await queue.ready()
    return refused.value.detail


async def ready_again(queue: RabbitQueue) -> None:
    async def is_ready() -> bool:
        try:
            await queue.ready()
        except Unavailable:
            return False
        return True

    await until(is_ready)


class TestMessages:
    async def test_one_that_cannot_be_read_is_parked_with_the_reason(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        await ready_again(queue)
        bad = [b"{", b"\xff\xfe", b"[]", b'{"job": 7}', b'{"job": ""}', b"[" * 100_000, b'{"job": "a\\nb"}']
        async with raw_channel(broker) as channel:
            for body in bad:
                await channel.default_exchange.publish(aio_pika.Message(body), layout.name)
        await queue.publish(JobId("good"))
        async with queue.deliveries(prefetch=4) as deliveries:
            assert (await take(deliveries)).job == "good"
        parked = [await dead_letter(broker, layout) for _ in bad]
        assert [message.body for message in parked] == bad
        reasons = {str(message.headers[REASON_HEADER]) for message in parked}
        assert reasons == {"the message is not JSON in UTF-8", "the message has no job id"}

    async def test_one_given_back_comes_later_and_later_and_is_parked_in_the_end(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        await queue.publish(JobId("a"))
        taken_at = []
        async with queue.deliveries(prefetch=1) as deliveries:
            for _ in range(3):
                delivery = await take(deliveries)
                taken_at.append(time.monotonic())
                await delivery.give_back()
        letter = await dead_letter(broker, layout)
        assert taken_at[1] - taken_at[0] >= 0.1
        assert taken_at[2] - taken_at[1] >= 0.2
        assert letter.headers[REASON_HEADER] == "given back 3 times"
        assert letter.headers[RETURNS_HEADER] == 2
        assert letter.body == b'{"job": "a"}'

    async def test_one_that_takes_its_workers_along_is_parked_by_the_broker(
        self, broker: Broker, layout: Layout
    ) -> None:
        layout = replace(layout, delivery_limit=2)
        async with open_rabbit_queue(broker.url, layout) as queue:
            await queue.publish(JobId("poison"))
            for _ in range(3):
                async with queue.deliveries(prefetch=1) as deliveries:
                    await take(deliveries)
        letter = await dead_letter(broker, layout)
        assert letter.body == b'{"job": "poison"}'
        assert letter.headers["x-first-death-reason"] == "delivery_limit"

    async def test_a_full_queue_says_so_and_takes_more_when_there_is_room(
        self, broker: Broker, layout: Layout
    ) -> None:
        async with open_rabbit_queue(broker.url, replace(layout, limit_bytes=2000)) as queue:
            with pytest.raises(Unavailable) as refused:
                for number in range(1000):
                    await queue.publish(JobId(f"job-{number}"))
            assert refused.value.detail == "the broker's queue is full"
            async with queue.deliveries(prefetch=8) as deliveries:
                for _ in range(50):
                    await (await take(deliveries)).ack()
                await queue.publish(JobId("later"))


class TestDefinitions:
    async def test_a_queue_that_was_deleted_is_made_again(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        await queue.publish(JobId("lost"))
        async with queue.deliveries(prefetch=1) as deliveries:
            await (await take(deliveries)).ack()
            await asyncio.to_thread(broker.control, "delete_queue", layout.name)
            with pytest.raises(Unavailable, match="gone from the broker"):
                await queue.publish(JobId("unroutable"))
            await ready_again(queue)
            await queue.publish(JobId("routable"))
            assert (await take(deliveries)).job == "routable"

    async def test_every_queue_that_was_deleted_is_made_again(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        await ready_again(queue)
        for definition in layout.definitions():
            await asyncio.to_thread(broker.control, "delete_queue", definition.name)
        await ready_again(queue)
        assert await queue.depth() == 0

    async def test_a_consumer_of_a_queue_that_was_replaced_in_an_instant_is_opened_again(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        async with queue.deliveries(prefetch=1) as deliveries:
            await queue.publish(JobId("old"))
            await (await take(deliveries)).ack()
            arguments = layout.definitions()[1].arguments
            async with raw_channel(broker) as channel:
                await channel.queue_delete(layout.name)
                await channel.declare_queue(layout.name, durable=True, arguments=arguments)
            for number in range(5):
                await queue.publish(JobId(f"new-{number}"))
            assert (await take(deliveries)).job.startswith("new-")

    @pytest.mark.parametrize(
        ("argument", "other", "told"),
        [
            ("x-delivery-limit", 7, "another x-delivery-limit: 7, not 20"),
            ("x-delivery-limit", None, "another x-delivery-limit: none, not 20"),
            ("x-overflow", "drop-head", "another x-overflow: drop-head, not reject-publish"),
        ],
    )
    async def test_one_that_is_there_and_differs_is_named_with_the_difference(
        self, broker: Broker, layout: Layout, queue: RabbitQueue, argument: str, other: Any, told: str
    ) -> None:
        arguments = dict(layout.definitions()[1].arguments) | {argument: other}
        async with raw_channel(broker) as channel:
            await channel.declare_queue(
                layout.name,
                durable=True,
                arguments={name: value for name, value in arguments.items() if value is not None},
            )
        reason = await refusal(queue)
        assert reason.startswith(f"queue {layout.name} is there with {told}")
        with pytest.raises(Unavailable, match="is there with"):
            await queue.publish(JobId("a"))

        await asyncio.to_thread(broker.control, "delete_queue", layout.name)
        await ready_again(queue)
        await queue.publish(JobId("a"))

    async def test_a_classic_queue_in_its_place_is_named(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        async with raw_channel(broker) as channel:
            await channel.declare_queue(layout.dead_name, durable=True)
        assert layout.dead_name in await refusal(queue)


class TestReaching:
    """What is wrong is said without the password, and nothing has to be started again."""

    async def test_a_wrong_password(self, broker: Broker, layout: Layout) -> None:
        await asyncio.to_thread(broker.control, "add_user", "worker", "old secret")
        await asyncio.to_thread(broker.control, "set_permissions", "worker", ".*", ".*", ".*")
        async with open_rabbit_queue(broker.at(credential="worker:new%20secret"), layout) as queue:
            assert await refusal(queue) == "the broker refuses the user or password of QUEUE_URL"
            async with queue.deliveries(prefetch=1) as deliveries:
                await asyncio.to_thread(broker.control, "change_password", "worker", "new secret")
                await ready_again(queue)
                await queue.publish(JobId("a"))
                assert (await take(deliveries)).job == "a"

    async def test_missing_rights(self, broker: Broker, layout: Layout) -> None:
        await asyncio.to_thread(broker.control, "add_user", "guest2", "secret")
        await asyncio.to_thread(broker.control, "set_permissions", "guest2", "^$", ".*", ".*")
        async with open_rabbit_queue(broker.at(credential="guest2:secret"), layout) as queue:
            assert "may not configure, write and read" in await refusal(queue)
            await asyncio.to_thread(broker.control, "set_permissions", "guest2", ".*", ".*", ".*")
            await ready_again(queue)

    async def test_a_missing_virtual_host(self, broker: Broker, layout: Layout) -> None:
        async with open_rabbit_queue(broker.at("elsewhere"), layout) as queue:
            assert "no such virtual host" in await refusal(queue)
            await asyncio.to_thread(broker.control, "add_vhost", "elsewhere")
            await asyncio.to_thread(
                broker.control, "set_permissions", "-p", "elsewhere", "guest", ".*", ".*", ".*"
            )
            await ready_again(queue)

    async def test_nobody_there(self, layout: Layout) -> None:
        async with open_rabbit_queue("amqp://guest:secret@127.0.0.1:9/", layout) as queue:
            assert await refusal(queue) == "the broker is not reachable"

    async def test_a_name_that_leads_nowhere(self, layout: Layout) -> None:
        async with open_rabbit_queue("amqp://guest:secret@nowhere.invalid/", layout) as queue:
            assert await refusal(queue) == "the broker is not reachable"

    async def test_somebody_who_never_answers_is_waited_for_once(
        self, broker: Broker, layout: Layout
    ) -> None:
        async with gate_to(broker.port) as gate:
            gate.hold()
            async with open_rabbit_queue(broker.at(port=gate.port), layout) as queue:
                assert await refusal(queue) == "the broker does not answer"
                started = time.monotonic()
                with pytest.raises(Unavailable):
                    await queue.publish(JobId("a"))
                assert time.monotonic() - started < 0.5
                gate.pass_on()
                await ready_again(queue)

    async def test_somebody_who_speaks_something_else(self, layout: Layout) -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"AMQP\x03\x01\x00\x00")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with open_rabbit_queue(f"amqp://guest:secret@127.0.0.1:{port}/", layout) as queue:
                assert "does not speak AMQP" in await refusal(queue)


class TestWeather:
    async def test_an_alarm_refuses_what_is_published_until_it_is_over(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        await queue.publish(JobId("before"))
        await asyncio.to_thread(broker.control, "set_vm_memory_high_watermark", "0.000001")
        try:
            started = time.monotonic()
            with pytest.raises(Unavailable, match="alarm"):
                await queue.publish(JobId("during"))
            assert time.monotonic() - started < REFUSED_S
            started = time.monotonic()
            with pytest.raises(Unavailable, match="alarm"):
                await queue.publish(JobId("during too"))
            assert time.monotonic() - started < 0.1
            assert "alarm" in await refusal(queue)
            async with queue.deliveries(prefetch=1) as deliveries:
                await (await take(deliveries)).ack()
        finally:
            await asyncio.to_thread(broker.control, "set_vm_memory_high_watermark", "0.4")
        await ready_again(queue)
        await queue.publish(JobId("after"))

    async def test_a_link_that_swallows_everything_is_noticed_by_both_sides(
        self, broker: Broker, layout: Layout
    ) -> None:
        async with (
            gate_to(broker.port) as gate,
            open_rabbit_queue(broker.at(port=gate.port), layout) as queue,
            queue.deliveries(prefetch=4) as deliveries,
        ):
            await queue.publish(JobId("a"))
            await (await take(deliveries)).ack()
            gate.hold()
            started = time.monotonic()
            with pytest.raises(Unavailable, match="does not answer"):
                await queue.publish(JobId("b"))
            assert time.monotonic() - started < REFUSED_S
            gate.shut_out_old_ones()
            gate.pass_on()
            await ready_again(queue)
            # Some go to the old consumer, which is there for the broker until it misses heartbeats.
            later = {f"later-{number}" for number in range(20)}
            for job in sorted(later):
                await queue.publish(JobId(job))
            while (delivery := await take(deliveries)).job not in later:
                await delivery.ack()

    async def test_a_consumer_that_gets_nothing_though_messages_wait_is_opened_again(
        self, broker: Broker, layout: Layout, queue: RabbitQueue
    ) -> None:
        async with (
            gate_to(broker.port) as gate,
            open_rabbit_queue(broker.at(port=gate.port), layout) as other,
            other.deliveries(prefetch=1) as deliveries,
        ):
            await queue.publish(JobId("a"))
            await (await take(deliveries)).ack()
            # Heartbeats would notice after a minute.
            gate.shut_out_old_ones()
            for number in range(3):
                await queue.publish(JobId(f"b-{number}"))
            assert (await take(deliveries)).job.startswith(("a", "b-"))

    async def test_whatever_was_confirmed_survives_a_kill_under_load(
        self, broker: Broker, queue: RabbitQueue
    ) -> None:
        load = Load(queue)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(load.publish(number)) for number in range(4)]
            running += [tasks.create_task(load.consume()) for _ in range(2)]
            await asyncio.sleep(1)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            confirmed, seen = len(load.confirmed), len(load.seen)

            async def resumed() -> bool:
                return len(load.confirmed) > confirmed + 20 and len(load.seen) > seen + 20

            async def all_seen() -> bool:
                return load.confirmed <= load.seen

            await until(resumed, within_s=RESUMED_S)
            load.stop.set()
            await until(all_seen)
            for task in running:
                task.cancel()
        assert len(load.confirmed) > confirmed + 20


class Load:
    """Publishers and consumers that go on whatever happens."""

    def __init__(self, queue: RabbitQueue) -> None:
        self.queue = queue
        self.confirmed: set[str] = set()
        self.seen: set[str] = set()
        self.stop = asyncio.Event()

    async def publish(self, publisher: int) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            job = JobId(f"job-{publisher}-{number}")
            try:
                await self.queue.publish(job)
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                self.confirmed.add(job)
            await asyncio.sleep(0.002)

    async def consume(self) -> None:
        async with self.queue.deliveries(prefetch=8) as deliveries:
            async for delivery in deliveries:
                self.seen.add(delivery.job)
                await delivery.ack()
