"""The invoker: answers calls. A call leaves no trace in the ledger."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from gateway.domain.body import Body
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers


@dataclass(slots=True)
class Call:
    """One call. `body` is read at most once, as fast as the backend takes it; `headers` are what the backend
    may know of the caller's, no credential among them; `raw` asks for output bytes without Base64. `kept`
    comes with every call that is the same but for `id`, `request_id`, `own`, which are more headers, and its
    body: an invoker may leave there what it made of it."""

    id: str
    deployed: Deployed
    body: Body
    headers: Headers = field(default_factory=list)
    query: bytes = b""
    raw: bool = False
    limit_s: float = 300.0
    request_id: bytes = b""
    kept: dict[str, bytes] | None = None
    own: Headers = field(default_factory=list)


class Spent(NamedTuple):
    """Where a reply's time went, as far as its backend can tell, in seconds. What is left of it is the
    gateway's own."""

    queue_s: float = 0.0
    """Waiting for a place."""
    start_s: float = 0.0
    """Until the script began: preparing, and a cold start."""
    run_s: float = 0.0
    """The script's own."""


NOTHING_SPENT = Spent()


@dataclass(slots=True)
class Reply:
    """`status` is 200 or, when the script failed, 500; a backend may have others. `body` is bytes if it was
    there at once; a stream that breaks off raises a Problem, it never just ends."""

    status: int
    headers: Headers
    body: Body
    spent: Spent = NOTHING_SPENT


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


class Begun(Protocol):
    """A call that is under way before anybody entered its context. What was told of it is read by `whole`,
    or, where that has nothing, by entering the context as one of `invoke`; else it is to be dropped."""

    def whole(self) -> Reply | None:
        """The reply, with bytes for a body, if all of it is there and nothing about it needs a wait: the call
        is over then."""
        ...

    def drop(self) -> None:
        """End the script, as leaving the context early would. Fine if the call is over."""
        ...

    async def __aenter__(self) -> Reply: ...

    async def __aexit__(self, *_: object) -> None: ...


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
        Unanswered (it may have been), StorageFull.
        """
        ...

    def begin(self, call: Call, told: Callable[[], None]) -> Begun | None:
        """The same, if it can be begun at this moment, without a wait or a task, the body being there. None:
        it cannot; nothing was sent and nothing will be executed. `told` is called once, and later, when there
        is a reply or a reason why there will be none. Raises Invalid."""
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
