"""The registry: what is deployed, in memory for readers, durable for writers."""

from collections.abc import Iterable
from typing import Protocol

from gateway.domain.deployed import Deployed


class Registry(Protocol):
    def get(self, name: str) -> Deployed | None:
        """From memory, never blocking: the hot path asks it at every call. What another process wrote is seen
        soon after. Raises Unavailable if nothing was read yet."""
        ...

    def all(self) -> Iterable[Deployed]:
        """Every deployed service, ordered by name, from memory. Raises as `get`."""
        ...

    def generation(self) -> int:
        """Grows whenever anything changed: what is derived from `all` may be kept until then."""
        ...

    def unreadable(self) -> int:
        """How many definitions are kept that cannot be read; the log says which, and why."""
        ...

    async def look_up(self, name: str) -> Deployed | None:
        """As it stands where it is kept: for who would act on its absence. Raises Unavailable."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable with what keeps changes from being seen."""
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
