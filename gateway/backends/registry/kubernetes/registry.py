"""The registry of a cluster: reads from memory, writes in turns through the API server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from functools import partial

from gateway.backends.cluster import Cluster, QuotaExceeded
from gateway.backends.registry.kubernetes.deploying import Deploying
from gateway.backends.registry.kubernetes.following import Following
from gateway.backends.registry.kubernetes.memory import Memory
from gateway.backends.registry.kubernetes.secret_writer import SecretWriter
from gateway.backends.registry.kubernetes.tidying import Tidying
from gateway.domain.deployed import Deployed
from gateway.domain.names import service_name
from gateway.domain.problems import Forbidden, NotFound, StorageFull, Unavailable

FIRST_READ_S = 10.0
"""So long a start waits for the services; without them it goes on, and is not ready."""
TURN_S = 30.0
TIDY_S = 300.0
CLOSE_S = 5.0


@asynccontextmanager
async def open_kubernetes_registry(
    cluster: Cluster, *, now: Callable[[], datetime], tidy_s: float = TIDY_S
) -> AsyncIterator["KubernetesRegistry"]:
    """Follows the services until it is closed. Opens whatever the API server says: `ready` tells."""
    memory = Memory()
    following = Following(cluster, memory, now)
    writer = SecretWriter(cluster, now)
    tidying = Tidying(writer, memory, every_s=tidy_s)
    deploying = Deploying(cluster, memory, writer, tidying)
    registry = KubernetesRegistry(memory, following, deploying)
    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(following.run()), tasks.create_task(tidying.run())]
        with suppress(TimeoutError):
            await asyncio.wait_for(following.synced.wait(), FIRST_READ_S)
        try:
            yield registry
        finally:
            await registry.close()
            for task in background:
                task.cancel()


class KubernetesRegistry:
    """Writers of this process take turns, and finish whether or not their callers wait for them.

    Until the services were read once, every reader raises Unavailable: none known is not none there.
    """

    def __init__(self, memory: Memory, following: Following, deploying: Deploying) -> None:
        self._memory = memory
        self._following = following
        self._deploying = deploying
        self._turn = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()

    def get(self, name: str) -> Deployed | None:
        if not self._following.synced.is_set():
            self._following.require_current()
        return self._memory.get(name)

    def all(self) -> Iterable[Deployed]:
        if not self._following.synced.is_set():
            self._following.require_current()
        return self._memory.ordered()

    def generation(self) -> int:
        return self._memory.generation

    def unreadable(self) -> int:
        return self._following.unreadable

    async def look_up(self, name: str) -> Deployed | None:
        if not _may_exist(name):
            return None
        with _problems():
            try:
                await self._following.look_up(name)
            except NotFound:
                return None
        return self._memory.get(name)

    async def ready(self) -> None:
        self._following.require_current()

    async def create(self, deployed: Deployed) -> None:
        await self._finish(partial(self._deploying.create, deployed))

    async def replace(self, deployed: Deployed, *, previous: Deployed) -> None:
        if deployed.service.name != previous.service.name:
            raise ValueError("a service keeps its name")
        await self._finish(partial(self._deploying.replace, deployed, previous))

    async def remove(self, name: str) -> None:
        await self._finish(partial(self._deploying.remove, name))

    async def close(self) -> None:
        if self._writes:
            await asyncio.wait(self._writes, timeout=CLOSE_S)
        for write in self._writes:
            write.cancel()

    async def _finish(self, write: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(self._in_turn(write))
        self._writes.add(task)
        task.add_done_callback(self._forget)
        await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may not wait for it any more

    async def _in_turn(self, write: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(TURN_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Unavailable("other deploys are waiting for Kubernetes", retry_after_s=5) from error
        try:
            with _problems():
                await write()
        finally:
            self._turn.release()


def _may_exist(name: str) -> bool:
    """What is no service's name goes into no path of the API server's."""
    try:
        service_name(name)
    except ValueError:
        return False
    return True


@contextmanager
def _problems() -> Iterator[None]:
    """What Kubernetes refuses us is not the caller's doing."""
    try:
        yield
    except QuotaExceeded as error:
        raise StorageFull("a quota of the namespace leaves no room for services", retry_after_s=60) from error
    except Forbidden as error:
        raise Unavailable(error.detail, retry_after_s=60) from error
