"""Creates of Kubernetes Jobs: by a whole worker that finds a backlog, by the launcher alone, and by eight
`kubectl create` of the same Jobs, one after the other in each run.

DRAINED_JOBS is how many.
"""

import os
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cluster_form import ClusterForm, cluster_form
from benchmarks.kubectl import CLIENTS, create_again
from benchmarks.processes import cpu_s
from benchmarks.table import show
from gateway.backends.cluster import Cluster
from gateway.backends.launcher.kubernetes.launcher import open_kubernetes_launcher
from gateway.settings import read_settings
from gateway.staging.abreast import abreast

RUNS = 3
DRAINED = int(os.environ.get("DRAINED_JOBS", "500"))


async def measure() -> None:
    drained, launched, reference, used_ms = [], [], [], []
    async with cluster_form() as form:
        for run in range(RUNS):
            service = f"drained-{run}"
            rate, cpu = await _drain(form, service)
            drained.append(rate)
            used_ms.append(cpu * 1000 / DRAINED)
            launched.append(await _launches(form.cluster, form.settings))
            reference.append(await create_again(form.cluster, form.settings["KUBECONFIG"], service))
            await form.remove(service)
    series = {"whole worker": drained, "launcher, 8 at once": launched, "kubectl, 8 clients": reference}
    show(f"creates of {DRAINED} Jobs", "Jobs/s", series)
    print(f"CPU of the worker a job: {min(used_ms):.1f} ms")


async def _drain(form: ClusterForm, service: str) -> tuple[float, float]:
    """Jobs a second by a worker that finds them queued, from its first to its last; seconds of CPU meanwhile
    and for its start."""
    await form.deploy(service)
    await form.submit(service, DRAINED)
    before = len(form.seen.at)
    async with form.worker() as worker:
        await form.seen.count(before + 1)
        start_s = cpu_s(worker)
        times = (await form.seen.count(before + DRAINED))[before:]
        return (DRAINED - 1) / (times[-1] - times[0]), cpu_s(worker) - start_s


async def _launches(cluster: Cluster, settings: dict[str, str]) -> float:
    """Jobs a second by the launcher alone, which begins anew."""
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
