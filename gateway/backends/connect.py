"""Connect: settings to open backends. The one place that names implementations; what a URL does not pick is not imported."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.backends.identity.protocol import Identity
from gateway.backends.invoker.protocol import Invoker
from gateway.backends.launcher.protocol import Launcher
from gateway.backends.ledger.protocol import Ledger
from gateway.backends.objects.protocol import Objects
from gateway.backends.queue.protocol import Queue
from gateway.backends.registry.protocol import Registry
from gateway.backends.registry.subscriptions import Subscriptions
from gateway.settings import Settings


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Backends:
    """Every role, open, with the settings and the clock: what actions work with."""

    settings: Settings
    registry: Registry
    ledger: Ledger
    queue: Queue
    objects: Objects
    invoker: Invoker
    launcher: Launcher
    identity: Identity
    subscriptions: Subscriptions
    now: Callable[[], datetime] = utc_now
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from counting live attempts to claiming one, so that this worker does not overshoot its own limit."""
