"""Attempts as Kubernetes Jobs. The cluster holds all there is to know of them until they are forgotten; this
process only watches, so that any worker can go on where another one ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.backends.cluster import Cluster, ClusterConflict
from gateway.backends.launcher.kubernetes.conclusion import Conclusion, ReportStore
from gateway.backends.launcher.kubernetes.lease import Lease
from gateway.backends.launcher.kubernetes.manifest import (
    ATTEMPT_LABEL,
    STOPPED,
    attempt_of,
    job_deadline_s,
    job_manifest,
    same_identity,
    terms_of,
)
from gateway.backends.launcher.kubernetes.rate import Rate
from gateway.backends.launcher.kubernetes.watch import Watch
from gateway.backends.launcher.protocol import Order
from gateway.domain.claim import make_claim
from gateway.domain.job import AttemptId, Ending
from gateway.domain.problems import Invalid, NotFound, Problem, Unavailable
from gateway.settings import Settings

log = structlog.get_logger(__name__)

CREATE_TRIES = 3
"""Of one create whose answer did not come: it may have been done, and the next one tells."""
AT_ONCE = 16
"""Creates under way: more of them only wait longer, each on a connection of its own, whose TLS handshake
costs both ends as much as a create."""
REPEAT_S = 5.0
"""An ending that was told, and not forgotten, is told again."""


@asynccontextmanager
async def open_kubernetes_launcher(
    cluster: Cluster, store: ReportStore, settings: Settings, *, own_bucket: str, now: Callable[[], datetime]
) -> AsyncIterator["KubernetesLauncher"]:
    """Asks the cluster nothing yet; watches once somebody listens for endings. Closing it leaves what runs
    running."""
    conclusion = Conclusion(cluster, store, own_bucket, settings.log_limit)
    # A worker that is alone by its settings need not ask who else watches.
    lease = None if settings.embedded else Lease(cluster)
    watch = Watch(cluster, conclusion, lease, pull_limit_s=settings.image_pull_limit_s, now=now)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch.run(), name="watch of attempts")
        yield KubernetesLauncher(cluster, store, settings, watch, conclusion, now=now)
        watching.cancel()


class KubernetesLauncher:
    def __init__(
        self,
        cluster: Cluster,
        store: ReportStore,
        settings: Settings,
        watch: Watch,
        conclusion: Conclusion,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._terms = terms_of(settings)
        self._claim_key = settings.claim_key
        self._watch = watch
        self._conclusion = conclusion
        self._now = now
        self._rate = Rate(settings.job_creates_s)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._jobs = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{cluster.namespace}/pods"

    async def launch(self, order: Order) -> None:
        work = order.work
        if work.stored is not None and not work.file_stage_in:
            await self._store.stat(work.stored.bucket, work.stored.key)
        ends_at = self._now() + timedelta(seconds=job_deadline_s(order, self._terms))
        claim = make_claim(self._claim_key, order.attempt, ends_at=ends_at)
        await self._create(order, job_manifest(order, self._terms, claim=claim))

    async def known(self) -> frozenset[AttemptId]:
        """Asked of the cluster: what a watch knows may be older than what was just launched."""
        listed = await self._cluster.list(self._jobs, ATTEMPT_LABEL)
        return frozenset(filter(None, map(attempt_of, listed["items"])))

    async def elsewhere(self, attempt: AttemptId) -> bool:  # noqa: ARG002  # every worker knows all
        return False

    def hindrances(self) -> Mapping[AttemptId, str]:
        return self._watch.hindrances()

    async def endings(self) -> AsyncIterator[Ending]:
        async for ending in self._watch.endings(repeat_s=REPEAT_S):
            yield ending

    async def stop(self, attempt: AttemptId) -> None:
        """The Job is told why, the pod by its deadline: that ends it with TERM and leaves its log, where
        deleting it would not. One without a node has nothing to be ended."""
        note = {"metadata": {"annotations": {STOPPED: "cancelled"}}}
        try:
            await self._cluster.patch(f"{self._jobs}/{attempt}", note)
        except NotFound:
            return
        for pod in await self._pods_of(attempt):
            if pod["spec"].get("nodeName") and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                await self._end(pod)

    async def forget(self, attempt: AttemptId) -> None:
        """Its report first: without a Job nobody would come back for it."""
        await self._conclusion.forget(attempt)
        await self._cluster.delete(f"{self._jobs}/{attempt}", {"propagationPolicy": "Background"})
        self._watch.forget(attempt)

    async def log(self, attempt: AttemptId) -> AsyncIterator[bytes]:
        for pod in await self._pods_of(attempt):
            try:
                async for chunk in self._conclusion.log(pod):
                    yield chunk
            except (Invalid, NotFound):
                # Not begun, or gone meanwhile.
                continue

    async def ready(self) -> None:
        try:
            await self._cluster.get(self._jobs, {"limit": 1})
        except Unavailable:
            raise
        except Problem as problem:
            raise Unavailable(problem.detail) from problem

    async def _create(self, order: Order, manifest: dict[str, Any]) -> None:
        """Raises Invalid, Unavailable, Forbidden."""
        for tries_left in reversed(range(CREATE_TRIES)):
            try:
                async with self._places:
                    await self._rate.turn()
                    await self._cluster.create_unread(self._jobs, manifest)
            except ClusterConflict:
                await self._recognise(order)
                return
            except NotFound as problem:
                # Of a Job to be made only its namespace can be missing.
                raise Unavailable(problem.detail) from problem
            except Unavailable as problem:
                self._rate.refused(retry_after_s=problem.retry_after_s or 0)
                if not tries_left:
                    raise
            else:
                self._rate.succeeded()
                return

    async def _recognise(self, order: Order) -> None:
        """There is a Job of that name. Raises Invalid if it is not the order's, Unavailable if it has just
        gone."""
        try:
            found = await self._cluster.get(f"{self._jobs}/{order.attempt}")
        except NotFound as problem:
            raise Unavailable(problem.detail) from problem
        if not same_identity(found, order):
            raise Invalid(f"another Job is called {order.attempt}")
        log.info("attempt.recognised", attempt=order.attempt)

    async def _pods_of(self, attempt: AttemptId) -> list[dict[str, Any]]:
        listed = await self._cluster.list(self._pods, f"{ATTEMPT_LABEL}={attempt}")
        pods: list[dict[str, Any]] = listed["items"]
        return pods

    async def _end(self, pod: dict[str, Any]) -> None:
        try:
            await self._cluster.patch(
                f"{self._pods}/{pod['metadata']['name']}", {"spec": {"activeDeadlineSeconds": 1}}
            )
        except NotFound:
            return
