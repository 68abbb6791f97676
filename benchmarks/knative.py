"""A call through the gateway to a real cluster's Knative and back: warm, and from zero; against the same
script started by `sh -c` in a shell's loop.

From zero is from no pod at all: one that is on its way out still answers, and holds what a new one needs of a
small node.

The cluster is the one that service tests use: TEST_KUBECONFIG, TEST_KNATIVE_URL, TEST_POD_IMAGE,
TEST_SCRIPT_IMAGE, and TEST_NAMESPACE, which has to be there.
"""

import asyncio
import os
import time
from statistics import quantiles

from benchmarks.gateway import Connection, deploy, gateway
from benchmarks.pod import CALLS, RUNS, shells
from benchmarks.table import show
from gateway.backends.cluster import Cluster, open_cluster
from gateway.settings import read_settings

COLD = 3
ZERO_S = 120.0


async def measure() -> None:
    settings = {
        "INVOKER_URL": os.environ["TEST_KNATIVE_URL"].replace("http:", "knative+http:", 1),
        "KUBECONFIG": os.environ["TEST_KUBECONFIG"],
        "KUBERNETES_NAMESPACE": os.environ["TEST_NAMESPACE"],
        "POD_IMAGE": os.environ["TEST_POD_IMAGE"],
        "IMAGE_PULL_POLICY": "IfNotPresent",
    }
    async with gateway(**settings) as running, open_cluster(read_settings(settings)) as cluster:
        connection = await running.connect()
        quick = {"autoscaling.knative.dev/window": "6s"}
        image = os.environ["TEST_SCRIPT_IMAGE"]
        await deploy(connection, "nothing", "true", image=image, annotations=quick, cpu="0.1")
        try:
            first = await _call(connection)
            warm, started = [], []
            for _ in range(RUNS):
                warm.append([await _call(connection) for _ in range(CALLS)])
                started.append(await asyncio.to_thread(shells))
            cold = [await _from_zero(connection, cluster) for _ in range(COLD)]
        finally:
            await connection.request("DELETE", "/system/services/nothing")
        connection.writer.close()
    series = {
        "first call after deploying": [first],
        "from zero": cold,
        "warm, 99th of 100": [quantiles(run, n=100)[98] for run in warm],
        "warm, median": [quantiles(run, n=2)[0] for run in warm],
        "sh -c true": started,
    }
    show("a call of `true` by Knative, through the gateway", "ms", series)


async def _call(connection: Connection) -> float:
    began = time.perf_counter()
    status, answer = await connection.request("POST", "/run/nothing", b"{}")
    if status != 200:
        raise SystemExit(f"a call was answered {status}: {answer.decode()}")
    return (time.perf_counter() - began) * 1000


async def _from_zero(connection: Connection, cluster: Cluster) -> float:
    async with asyncio.timeout(ZERO_S):
        while (await cluster.list(f"/api/v1/namespaces/{cluster.namespace}/pods"))["items"]:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.5)
    return await _call(connection)
