"""The invoker: answers calls. A call leaves no trace in the ledger."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from gateway.domain.deployed import Deployed


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `body` is read at most once, as fast as the backend takes it; `raw` asks for output bytes
    without Base64."""

    id: str
    deployed: Deployed
    body: AsyncIterator[bytes]
    content_type: str = ""
    query: str = ""
    raw: bool = False
    limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` is 200 or, when the script failed, 500. `headers` are few and ours or the backend's,
    lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Standing(StrEnum):
    """How soon a call would be answered, as far as it is known without asking anybody."""

    WARM = "warm"
    """At once."""
    COLD = "cold"
    """After something has started."""
    ABSENT = "absent"
    """Not at all: nothing answers calls of this service."""


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """What OSCAR calls the deployment of a service (`server.md` 1.3)."""

    state: Literal["pending", "ready", "degraded", "failed", "stopped", "unavailable"]
    reason: str = ""
    last_transition_at: datetime | None = None
    active_instances: int = 0
    affected_instances: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    message: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InstanceLog:
    """`available` is False where there is nothing to read yet; `message` then says why."""

    available: bool
    message: str = ""
    lines: tuple[LogLine, ...] = field(default_factory=tuple)


class Invoker(Protocol):
    async def prepare(self, deployed: Deployed) -> None:
        """Make ready to answer calls of a created or changed service; idempotent. Raises Invalid,
        Unavailable."""
        ...

    async def retire(self, name: str) -> None:
        """Undo `prepare`; fine if there is nothing."""
        ...

    def invoke(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        """Run the script once and answer. Leaving early ends the script.

        Raises TimedOut after `limit_s`, TooLarge from the body, Unavailable (nothing was executed),
        StorageFull.
        """
        ...

    def standing(self, name: str) -> Standing:
        """From memory, never blocking: the hot path asks it at every call."""
        ...

    async def status(self, deployed: Deployed) -> DeploymentStatus: ...

    async def log(self, deployed: Deployed, *, tail: int) -> InstanceLog:
        """The last `tail` lines that calls wrote to stderr, oldest first."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable with the reason."""
        ...
