"""Which queues there are on the broker, and with which arguments: everything the broker is told to keep.

Every argument is known to RabbitMQ 3.10 and to 4.x. All queues are quorum queues and are reached over the
default exchange, by their names: there is nothing to bind, and nothing that a lost binding could swallow.
"""

from dataclasses import dataclass

from pamqp.common import FieldTable


@dataclass(frozen=True, slots=True)
class QueueDefinition:
    name: str
    arguments: FieldTable


@dataclass(frozen=True, slots=True)
class Layout:
    """Names and limits. The defaults are what an installation has; several share a broker by vhosts."""

    name: str = "oscar-gateway.jobs"
    retry_after_s: tuple[float, ...] = (5, 30, 120, 600)
    """How long a delivery given back stays away: the first time, the second, ..."""
    delivery_limit: int = 20
    """Deliveries that ended with a lost worker, after which the broker itself parks a message."""
    limit_bytes: int = 512 << 20
    """Of waiting messages, of which a million has about 60 MB: without a limit the disk alarm would be it."""

    @property
    def dead_name(self) -> str:
        return f"{self.name}.dead"

    def retry_name(self, tier: int) -> str:
        return f"{self.name}.retry.{self.retry_after_s[tier]:g}s"

    def definitions(self) -> tuple[QueueDefinition, ...]:
        """What others dead-letter to comes first, so that no message meets a target that is not there."""
        dead = QueueDefinition(self.dead_name, self._kept("drop-head"))
        jobs = QueueDefinition(
            self.name,
            self._kept("reject-publish")
            | self._dead_lettering(self.dead_name)
            | {"x-delivery-limit": self.delivery_limit},
        )
        retries = (self._retry(tier) for tier in range(len(self.retry_after_s)))
        return dead, jobs, *retries

    def _retry(self, tier: int) -> QueueDefinition:
        return QueueDefinition(
            self.retry_name(tier),
            self._kept("reject-publish")
            | self._dead_lettering(self.name)
            | {"x-message-ttl": int(self.retry_after_s[tier] * 1000)},
        )

    def _kept(self, overflow: str) -> FieldTable:
        return {"x-queue-type": "quorum", "x-max-length-bytes": self.limit_bytes, "x-overflow": overflow}

    @staticmethod
    def _dead_lettering(target: str) -> FieldTable:
        # The broker's own default is at-most-once: a message on its way is lost with the node.
        return {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": target,
            "x-dead-letter-strategy": "at-least-once",
        }
