"""The cluster form for benchmarks: a gateway and workers that are processes here, over a RabbitMQ, PostgreSQL
and MinIO of the benchmark's own, with Jobs on the cluster of TEST_KUBECONFIG; without it on an API server of
the benchmark's own, over its own etcd.

No node is large enough for the pods, or there is none, so that the API server is what is measured.
"""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gateway import Connection, Gateway, deploy, gateway
from benchmarks.kubectl import LABEL
from gateway.backends.cluster import Cluster, open_cluster
from gateway.settings import Settings

if TYPE_CHECKING:
    from tests.servers.minio import Minio

SENDERS = 16
PATIENCE_S = 300.0


@dataclass
class Seen:
    """When each attempt's Job was first seen, in order."""

    at: dict[str, float] = field(default_factory=dict)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def follow(self, cluster: Cluster) -> None:
        path = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"
        async with aclosing(cluster.watch(path, LABEL)) as changes:
            async for change in changes:
                if change.kind == "ADDED":
                    async with self.news:
                        self.at[change.object["metadata"]["name"]] = time.perf_counter()
                        self.news.notify_all()

    async def count(self, count: int) -> list[float]:
        """All times, once there are so many."""
        async with asyncio.timeout(PATIENCE_S), self.news:
            await self.news.wait_for(lambda: len(self.at) >= count)
        return list(self.at.values())


@dataclass(frozen=True)
class ClusterForm:
    store: "Minio"
    settings: dict[str, str]
    cluster: Cluster
    gateway: Gateway
    connection: Connection
    seen: Seen

    @asynccontextmanager
    async def worker(self, **settings: str) -> AsyncIterator[int]:
        """Its process id."""
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            own = {"PATH": os.environ["PATH"], "DATA_DIR": folder, "HTTP_PORT": "0", "LOG_LEVEL": "warning"}
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "workers"),
                env=own | self.settings | settings,
                stdout=asyncio.subprocess.DEVNULL,
            )
            try:
                yield process.pid
            finally:
                process.terminate()
                await process.wait()

    async def deploy(self, name: str, **more: object) -> None:
        """A service whose pods fit no node."""
        # A connection of its own, here and below: one kept may have been idle for too long by now.
        connection = await self.gateway.connect()
        await deploy(connection, name, "true", image="none", cpu="900", **more)
        connection.writer.close()

    async def submit(self, service: str, count: int) -> None:
        left = iter(range(count))

        async def sender() -> None:
            connection = await self.gateway.connect()
            for _ in left:
                status, answer = await connection.request("POST", f"/job/{service}", b"{}")
                if status != 201:
                    raise SystemExit(f"a job was answered {status}: {answer.decode()}")
            connection.writer.close()

        await asyncio.gather(*(sender() for _ in range(SENDERS)))

    async def remove(self, service: str) -> None:
        """With all Jobs, so that the next measurement has the cluster for itself."""
        connection = await self.gateway.connect()
        await connection.request("DELETE", f"/system/services/{service}")
        connection.writer.close()
        path = f"/apis/batch/v1/namespaces/{self.cluster.namespace}/jobs"
        await self.cluster.delete(path, {"propagationPolicy": "Background"})


@asynccontextmanager
async def cluster_form() -> AsyncIterator[ClusterForm]:
    """With a gateway, and no worker yet."""
    async with AsyncExitStack() as stack:
        store, settings = stack.enter_context(_parts())
        cluster = await stack.enter_async_context(_cluster(settings))
        running = await stack.enter_async_context(gateway(**settings))
        seen = await stack.enter_async_context(_watched(cluster))
        connection = await running.connect()
        yield ClusterForm(store, settings, cluster, running, connection, seen)
        connection.writer.close()


@contextmanager
def _parts() -> Iterator[tuple["Minio", dict[str, str]]]:
    from tests.servers.control_plane import control_plane
    from tests.servers.minio import minio
    from tests.servers.postgresql import own_postgresql
    from tests.servers.rabbitmq import own_rabbitmq

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        kubeconfig = stack.enter_context(control_plane(folder / "control-plane"))
        store = stack.enter_context(minio(folder, own=True))
        database = stack.enter_context(own_postgresql())
        broker = stack.enter_context(own_rabbitmq())
        yield (
            store,
            store.settings()
            | {
                "DATABASE_URL": database.url,
                "QUEUE_URL": broker.url,
                "REGISTRY_URL": "kubernetes:",
                "LAUNCHER_URL": "kubernetes:",
                "KUBECONFIG": str(kubeconfig),
                "KUBERNETES_NAMESPACE": f"bench-{secrets.token_hex(3)}",
                "POD_IMAGE": "none",
                "INTERNAL_URL": "http://127.0.0.1:9",
                "CLAIM_KEY": secrets.token_hex(),
                "EVENTS_TOKEN": secrets.token_hex(),
                "RECONCILE_S": "3600",
                "JOBS_LIVE_LIMIT": "100000",
                "JOB_CREATES_S": "1000",
            },
        )


@asynccontextmanager
async def _cluster(settings: dict[str, str]) -> AsyncIterator[Cluster]:
    """With the namespace there."""
    name = settings["KUBERNETES_NAMESPACE"]
    read = Settings(kubeconfig=settings["KUBECONFIG"], kubernetes_namespace=name)
    async with open_cluster(read) as cluster:
        await cluster.create("/api/v1/namespaces", {"metadata": {"name": name}})
        try:
            if os.environ.get("TEST_KUBECONFIG"):
                # Until it is there no pod can be made; an API server alone makes neither.
                async for _ in _until_found(cluster, f"/api/v1/namespaces/{name}/serviceaccounts"):
                    await asyncio.sleep(0.1)
            yield cluster
        finally:
            await cluster.delete(f"/api/v1/namespaces/{name}")


async def _until_found(cluster: Cluster, path: str) -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE_S):
        while not (await cluster.list(path))["items"]:
            yield


@asynccontextmanager
async def _watched(cluster: Cluster) -> AsyncIterator[Seen]:
    seen = Seen()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(seen.follow(cluster))
        yield seen
        following.cancel()
