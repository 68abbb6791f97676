"""The registry: what is deployed, in memory for readers, durable for writers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.domain.service import Service


@dataclass(frozen=True, slots=True)
class Deployed:
    """A service as it is deployed. `uid` is new at every creation and kept by updates, so that a service
    deleted and created again is another one. `inputs_since` has, for each input path, when it was first
    declared: objects older than that do not trigger by themselves.
    """

    service: Service
    uid: str
    created_at: datetime
    updated_at: datetime
    inputs_since: dict[str, datetime] = field(default_factory=dict)


class Registry(Protocol):
    def get(self, name: str) -> Deployed | None:
        """From memory, never blocking: the hot path asks it at every call."""
        ...

    def all(self) -> Iterable[Deployed]:
        """Every deployed service, ordered by name, from memory."""
        ...

    def generation(self) -> int:
        """Grows whenever anything changed: what is derived from `all` may be kept until then."""
        ...

    async def create(self, deployed: Deployed) -> None:
        """Durable when it returns, whole or not at all.

        Raises Conflict if the name is taken, StorageFull, Unavailable.
        """
        ...

    async def replace(self, deployed: Deployed, *, previous: Deployed) -> None:
        """Durable when it returns, whole or not at all.

        Raises Conflict if `previous` is not what stands there any more, NotFound, StorageFull, Unavailable.
        """
        ...

    async def remove(self, name: str) -> None:
        """Durable when it returns. Raises NotFound, Unavailable."""
        ...
