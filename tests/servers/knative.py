"""A real cluster with Knative Serving, for tests: given by the environment, since nothing starts one in
passing.

TEST_KUBECONFIG, TEST_KNATIVE_URL (http://host:port of the cluster's local gateway), TEST_POD_IMAGE (this
project's image) and TEST_SCRIPT_IMAGE (any with /bin/sh), both on the nodes already.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import pytest

from gateway.backends.cluster import Cluster, open_cluster
from gateway.backends.invoker.knative.invoker import KnativeInvoker, open_knative_invoker
from gateway.backends.invoker.knative.manifest import PodOptions
from gateway.backends.invoker.upstream.message import Origin
from gateway.domain.problems import Unavailable
from gateway.settings import Settings
from tests.polling import until

CLOSING_S = 0.2
VARIABLES = ("TEST_KUBECONFIG", "TEST_KNATIVE_URL", "TEST_POD_IMAGE", "TEST_SCRIPT_IMAGE")


@dataclass(frozen=True)
class Knative:
    settings: Settings
    gateway: Origin
    pod_image: str
    script_image: str

    def options(self, *, call_limit_s: float = 60.0, limit: int = 1 << 20) -> PodOptions:
        return PodOptions(
            image=self.pod_image,
            image_pull_policy="IfNotPresent",
            script_image_pull_policy="IfNotPresent",
            call_limit_s=call_limit_s,
            timeout_most_s=600,
            log_limit=limit,
            output_limit=limit,
        )

    @asynccontextmanager
    async def invoker(self) -> AsyncIterator[tuple[KnativeInvoker, Cluster]]:
        async with (
            open_cluster(self.settings) as cluster,
            open_knative_invoker(cluster, self.options(), gateway=self.gateway) as invoker,
        ):
            await until(partial(_sees, invoker), within_s=30)
            yield invoker, cluster
        # The library's TLS connections close a moment after it says that they are closed.
        await asyncio.sleep(CLOSING_S)


@contextmanager
def knative() -> Iterator[Knative]:
    """With a namespace of its own, removed afterwards. Skips where the environment names no cluster."""
    given = {name: os.environ.get(name, "") for name in VARIABLES}
    missing = [name for name, value in given.items() if not value]
    if missing:
        told = f"no cluster with Knative: {', '.join(missing)} not set"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    namespace = f"test-knative-{secrets.token_hex(3)}"
    address = urlsplit(given["TEST_KNATIVE_URL"])
    settings = Settings.model_validate(
        {"kubeconfig": given["TEST_KUBECONFIG"], "kubernetes_namespace": namespace}
    )
    origin = Origin(address.hostname or "", address.port or 80)
    asyncio.run(_create(settings))
    try:
        yield Knative(settings, origin, given["TEST_POD_IMAGE"], given["TEST_SCRIPT_IMAGE"])
    finally:
        asyncio.run(_delete(settings))


async def _sees(invoker: KnativeInvoker) -> bool:
    try:
        await invoker.ready()
    except Unavailable:
        return False
    return True


async def _create(settings: Settings) -> None:
    async with open_cluster(settings) as cluster:
        await cluster.create("/api/v1/namespaces", {"metadata": {"name": cluster.namespace}})
    await asyncio.sleep(CLOSING_S)


async def _delete(settings: Settings) -> None:
    async with open_cluster(settings) as cluster:
        await cluster.delete(f"/api/v1/namespaces/{cluster.namespace}")
    await asyncio.sleep(CLOSING_S)
