"""A registry in a real cluster, in a namespace of its own."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.backends.cluster import Cluster, open_cluster
from gateway.backends.registry.kubernetes.registry import KubernetesRegistry, open_kubernetes_registry
from gateway.settings import Settings

NAMESPACES = "/api/v1/namespaces"


@asynccontextmanager
async def cluster_in(kubeconfig: Path, namespace: str) -> AsyncIterator[Cluster]:
    settings = Settings(kubeconfig=str(kubeconfig), kubernetes_namespace=namespace)
    async with open_cluster(settings) as cluster:
        yield cluster


@asynccontextmanager
async def namespace_of_its_own(kubeconfig: Path) -> AsyncIterator[str]:
    name = f"registry-{secrets.token_hex(4)}"
    async with cluster_in(kubeconfig, name) as cluster:
        await cluster.create(NAMESPACES, {"metadata": {"name": name}})
        yield name
        await cluster.delete(f"{NAMESPACES}/{name}")


@asynccontextmanager
async def open_in(
    kubeconfig: Path, namespace: str, *, tidy_s: float = 300
) -> AsyncIterator[KubernetesRegistry]:
    async with (
        cluster_in(kubeconfig, namespace) as cluster,
        open_kubernetes_registry(cluster, now=lambda: datetime.now(UTC), tidy_s=tidy_s) as registry,
    ):
        yield registry
