"""The launcher on Kubernetes with all that its pods need: a gateway in the test's process, whose API and
store they reach, and which knows of every job that is launched."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.api.app import build_app
from gateway.backends.cluster import open_cluster
from gateway.backends.connect import Backends, bind, open_backends, utc_now
from gateway.backends.launcher.kubernetes.launcher import open_kubernetes_launcher
from gateway.backends.launcher.protocol import Launcher, Order
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.credentials import with_credentials
from gateway.domain.job import NewJob
from gateway.serving import serving
from gateway.settings import Settings
from tests.servers.cluster import ClusterNamespace

CLOSING_S = 0.2
"""The library's TLS connections close a moment after it says that they are closed."""


@dataclass
class PodPlace:
    """What pods reach, and who launches them."""

    given: ClusterNamespace
    backends: Backends

    @asynccontextmanager
    async def launcher(self) -> AsyncIterator[Launcher]:
        settings = self.backends.settings
        async with open_cluster(settings) as cluster:
            store = self.backends.objects
            opening = open_kubernetes_launcher(cluster, store, settings, own_bucket=OWN_BUCKET, now=utc_now)
            async with opening as launcher:
                yield Introduced(launcher, self)
        await asyncio.sleep(CLOSING_S)

    def left(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.given.found("jobs")]

    async def know(self, order: Order) -> None:
        """The service is deployed, the job accepted and claimed: pods are served for no other."""
        deployed, job = order.deployed, order.job
        standing = self.backends.registry.get(deployed.service.name)
        if standing is None:
            await self.backends.registry.create(deployed)
        else:
            await self.backends.registry.replace(deployed, previous=standing)
        new = NewJob(
            id=job.id,
            service=job.service,
            service_uid=job.service_uid,
            cause=job.cause,
            owner=job.owner,
            payload=job.payload,
            stored=job.stored,
            notice=job.notice,
        )
        await self.backends.ledger.accept([new], now=utc_now())
        await self.backends.ledger.claim(job.id, now=utc_now())

    def fitting(self, order: Order) -> Order:
        """The same in an image of the cluster, small; a pod is told its limit by its service."""
        service = order.deployed.service
        limit = {"oscar-gateway/job-seconds": f"{max(1.0, order.limit_s):g}"}
        changed = {
            "image": self.given.script_image,
            "cpu": "0.1",
            "annotations": {**service.annotations, **limit},
        }
        return replace(order, deployed=replace(order.deployed, service=service.model_copy(update=changed)))


class Introduced:
    """A launcher whose orders the gateway is told of first."""

    def __init__(self, launcher: Launcher, place: PodPlace) -> None:
        self._launcher = launcher
        self._place = place
        self._knowing = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._launcher, name)

    async def launch(self, order: Order) -> None:
        order = self._place.fitting(order)
        async with self._knowing:
            await self._place.know(order)
        await self._launcher.launch(order)


@asynccontextmanager
async def open_pod_place(
    given: ClusterNamespace, folder: Path, *, output_limit: int, log_limit: int
) -> AsyncIterator[PodPlace]:
    port = _free_port(given.pod_host)
    settings = with_credentials(
        Settings.model_validate(
            {
                "data_dir": folder,
                "http_host": given.pod_host,
                "http_port": port,
                "s3_host": given.pod_host,
                "s3_port": 0,
                "kubeconfig": given.kubeconfig,
                "kubernetes_namespace": given.namespace,
                "pod_image": given.pod_image,
                "pod_image_pull_policy": "Never",
                "image_pull_policy": "Never",
                "internal_url": f"http://{given.pod_host}:{port}",
                "output_limit": output_limit,
                "log_limit": log_limit,
            }
        )
    )
    async with AsyncExitStack() as faces:
        listening = faces.enter_context(bind(settings.http_host, port, name="HTTP_PORT"))
        backends, face = await faces.enter_async_context(open_backends(settings))
        assert face is not None
        await faces.enter_async_context(serving(face.app, face.listening, settings))
        await faces.enter_async_context(serving(build_app(backends), listening, settings))
        yield PodPlace(given, backends)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
