"""Jobs on a real cluster: from a store's notification to the Kubernetes Job; creates of a backlog against
`kubectl create` of the same Jobs by eight clients; memory with many queued jobs.

Gateway and worker are processes here, over a RabbitMQ, PostgreSQL and MinIO of the benchmark's own. No node
is large enough for the pods, so that the API server is what is measured. The cluster is that of
TEST_KUBECONFIG; kubectl is needed.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.gateway import Connection, Gateway, deploy, gateway
from benchmarks.kubectl import CLIENTS, LABEL, create_again
from benchmarks.processes import resident_bytes
from benchmarks.table import show
from gateway.backends.cluster import Cluster, open_cluster
from gateway.backends.launcher.kubernetes.launcher import open_kubernetes_launcher
from gateway.settings import Settings, read_settings
from gateway.staging.abreast import abreast

if TYPE_CHECKING:
    from tests.servers.minio import Minio

EVENTS, SENDERS, RUNS = 40, 16, 3
DRAINED = int(os.environ.get("DRAINED_JOBS", "200"))
QUEUED = int(os.environ.get("QUEUED_JOBS", "10000"))
PATIENCE_S = 300.0
INPUT = [{"storage_provider": "minio", "path": "bench/in"}]


async def measure() -> None:
    async with AsyncExitStack() as stack:
        store, settings = stack.enter_context(_parts())
        cluster = await stack.enter_async_context(_cluster(settings))
        running = await stack.enter_async_context(gateway(**settings))
        seen = await stack.enter_async_context(_watched(cluster))
        connection = await running.connect()
        async with _worker(settings) as worker:
            idle = {"gateway": running.pid, "worker": worker}
            await _tell(await _events(running, connection, store, settings["EVENTS_TOKEN"], seen))
            before = {name: resident_bytes(pid) / 2**20 for name, pid in idle.items()}
        await _remove(connection, cluster, "events")
        drained = await _drain(running, connection, settings, seen)
        launched, reference = [], []
        for _ in range(RUNS):
            launched.append(await _launches(cluster, settings))
            reference.append(await create_again(cluster, settings["KUBECONFIG"], "drained"))
        series = {"whole worker": [drained], "launcher, 8 at once": launched, "kubectl, 8 clients": reference}
        show(f"creates of {DRAINED} Jobs", "Jobs/s", series)
        await _remove(connection, cluster, "drained")
        await deploy(connection, "queued", "true", image="none", cpu="900")
        async with _worker(settings | {"JOBS_LIVE_LIMIT": "1"}) as worker:
            await _submit(running, "queued", QUEUED)
            after = {"gateway": resident_bytes(running.pid) / 2**20, "worker": resident_bytes(worker) / 2**20}
        for name, idle_mib in before.items():
            told = {f"{QUEUED} queued": [after[name]], "idle": [idle_mib]}
            show(f"memory of the {name}", "MiB", told)
        connection.writer.close()


@contextmanager
def _parts() -> Iterator[tuple["Minio", dict[str, str]]]:
    from tests.servers.minio import minio
    from tests.servers.postgresql import own_postgresql
    from tests.servers.rabbitmq import own_rabbitmq

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
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
                "KUBECONFIG": os.environ["TEST_KUBECONFIG"],
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
            # Until it is there no pod can be made.
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
async def _worker(settings: dict[str, str]) -> AsyncIterator[int]:
    """Its process id."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers"),
            env={
                "PATH": os.environ["PATH"],
                "DATA_DIR": folder,
                "HTTP_PORT": "0",
                "LOG_LEVEL": "warning",
                **settings,
            },
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            await process.wait()


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


@asynccontextmanager
async def _watched(cluster: Cluster) -> AsyncIterator[Seen]:
    seen = Seen()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(seen.follow(cluster))
        yield seen
        following.cancel()


async def _events(
    running: Gateway, connection: Connection, store: "Minio", token: str, seen: Seen
) -> list[float]:
    """Milliseconds from the post to the Job's being told of, one after the other."""
    await deploy(connection, "events", "true", image="none", cpu="900", input=INPUT)
    client = _client(store)
    teller = await replace(running, authorization=f"Bearer {token}").connect()
    took_ms = []
    for number in range(EVENTS):
        # Only now: whoever lists the folder meanwhile would find it too.
        put = await asyncio.to_thread(client.put_object, Bucket="bench", Key=f"in/{number}", Body=b"x")
        before, etag = len(seen.at), put["ETag"].strip('"')
        began = time.perf_counter()
        status, answer = await teller.request("POST", "/events", _notice(number, etag))
        if status != 200 or not json.loads(answer)["accepted"]:
            raise SystemExit(f"refused with {status}: {answer.decode()}")
        took_ms.append(((await seen.count(before + 1))[before] - began) * 1000)
        await asyncio.sleep(0.2)
    teller.writer.close()
    client.close()
    return took_ms


async def _tell(took_ms: list[float]) -> None:
    parts = quantiles(took_ms[1:], n=20)
    print(f"\nnotification to Job: p50 {parts[9]:.0f} ms, p95 {parts[18]:.0f} ms, first {took_ms[0]:.0f} ms")


def _client(store: "Minio") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.url,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


def _notice(number: int, etag: str) -> bytes:
    """As MinIO posts it."""
    stored = {"key": f"in%2F{number}", "size": 1, "eTag": etag, "sequencer": f"{number + 1:016X}"}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": "bench"}, "object": stored},
    }
    told = {"EventName": record["eventName"], "Key": f"bench/in/{number}", "Records": [record]}
    return json.dumps(told).encode()


async def _drain(running: Gateway, connection: Connection, settings: dict[str, str], seen: Seen) -> float:
    """Jobs a second by a worker that finds them queued, from its first to its last."""
    await deploy(connection, "drained", "true", image="none", cpu="900")
    await _submit(running, "drained", DRAINED)
    before = len(seen.at)
    async with _worker(settings):
        times = (await seen.count(before + DRAINED))[before:]
    return (DRAINED - 1) / (times[-1] - times[0])


async def _launches(cluster: Cluster, settings: dict[str, str]) -> float:
    """Jobs a second by the launcher alone, which begins anew and slowly."""
    from gateway.backends.objects.embedded.store import open_embedded
    from gateway.backends.objects.protocol import Provider
    from tests.contracts.test_launcher import order

    read = read_settings(settings)
    orders = [order("true", cpu="900") for _ in range(DRAINED)]
    provider = Provider("http://127.0.0.1:9", False, "us-east-1", "access", "secret")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store = await stack.enter_async_context(open_embedded(folder, provider, object_limit=1 << 20))
        launcher = await stack.enter_async_context(
            open_kubernetes_launcher(cluster, store, read, own_bucket="own", now=lambda: datetime.now(UTC))
        )
        began = time.perf_counter()
        await abreast(launcher.launch, orders, at_once=CLIENTS)
        return DRAINED / (time.perf_counter() - began)


async def _submit(running: Gateway, service: str, count: int) -> None:
    left = iter(range(count))

    async def sender() -> None:
        connection = await running.connect()
        for _ in left:
            status, answer = await connection.request("POST", f"/job/{service}", b"{}")
            if status != 201:
                raise SystemExit(f"a job was answered {status}: {answer.decode()}")
        connection.writer.close()

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


async def _remove(connection: Connection, cluster: Cluster, service: str) -> None:
    """With its Jobs, so that the next measurement has the cluster for itself."""
    await connection.request("DELETE", f"/system/services/{service}")
    path = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"
    await cluster.delete(path, {"propagationPolicy": "Background"})
