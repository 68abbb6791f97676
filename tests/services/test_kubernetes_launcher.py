"""The launcher on Kubernetes against a real API server, without anything that runs pods: names, identity,
repeats, cancelling, who watches."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.backends.cluster import Cluster, open_cluster
from gateway.backends.cluster.rights import GATEWAY, WORKER
from gateway.backends.connect import utc_now
from gateway.backends.launcher.kubernetes.launcher import KubernetesLauncher, open_kubernetes_launcher
from gateway.backends.launcher.kubernetes.lease import Lease
from gateway.backends.launcher.kubernetes.manifest import ATTEMPT_LABEL
from gateway.backends.objects.embedded.store import open_embedded
from gateway.backends.objects.protocol import OWN_BUCKET, Objects, Provider
from gateway.domain.job import AttemptId, EndReason
from gateway.domain.problems import Forbidden, Invalid, NotFound, Unavailable
from gateway.settings import Settings
from tests.contracts.test_launcher import ending_of, order
from tests.polling import until
from tests.servers.nobody import allow_all, as_nobody

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

BIG: dict[str, Any] = {"cpu": "900"}
"""A cluster that does run pods finds no node for it."""


@dataclass
class Place:
    settings: Settings
    cluster: Cluster
    store: Objects

    @asynccontextmanager
    async def launcher(self, cluster: Any = None) -> AsyncIterator[KubernetesLauncher]:
        opening = open_kubernetes_launcher(
            cluster or self.cluster, self.store, self.settings, own_bucket=OWN_BUCKET, now=utc_now
        )
        async with opening as launcher:
            yield launcher

    async def jobs(self) -> list[str]:
        listed = await self.cluster.list(f"/apis/batch/v1/namespaces/{self.cluster.namespace}/jobs")
        return [job["metadata"]["name"] for job in listed["items"]]


@pytest.fixture
async def place(kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Place]:
    namespace = f"launcher-{secrets.token_hex(4)}"
    settings = Settings.model_validate(
        {
            "kubeconfig": str(kubeconfig),
            "kubernetes_namespace": namespace,
            "pod_image": "dev.local/none:1",
            "internal_url": "http://127.0.0.1:9",
            "claim_key": "key",
        }
    )
    provider = Provider("http://127.0.0.1:9", False, "us-east-1", "access", "secret")
    async with (
        open_cluster(settings) as cluster,
        open_embedded(tmp_path / "objects", provider, object_limit=1 << 30) as store,
    ):
        await cluster.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        yield Place(settings, cluster, store)
        await cluster.delete(f"/api/v1/namespaces/{namespace}")


async def test_launched_twice_there_is_one_job_by_the_attempts_name(place: Place) -> None:
    asked = order("true", **BIG)
    async with place.launcher() as launcher:
        await asyncio.gather(launcher.launch(asked), launcher.launch(asked))
        await launcher.launch(asked)
        assert await place.jobs() == [asked.attempt]
        assert await launcher.known() == {asked.attempt}
        await launcher.forget(asked.attempt)
        await until(lambda: _empty(place))
        await launcher.forget(asked.attempt)


class Forgetful:
    """The API whose first answers to creates get lost, after they were done."""

    def __init__(self, cluster: Cluster, *, lost: int) -> None:
        self._cluster = cluster
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        made = await self._cluster.create(path, body)
        if self._lost:
            self._lost -= 1
            raise Unavailable("no answer in time", retry_after_s=0)
        return made


async def test_a_create_whose_answer_was_lost_is_recognised(place: Place) -> None:
    asked = order("true", **BIG)
    async with place.launcher(Forgetful(place.cluster, lost=1)) as launcher:
        await launcher.launch(asked)
    assert await place.jobs() == [asked.attempt]


async def test_a_job_of_that_name_that_is_not_ours_is_a_collision_and_left_alone(place: Place) -> None:
    asked = order("true", **BIG)
    container = {"name": "x", "image": "dev.local/none:1", "resources": {"requests": {"cpu": "900"}}}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    foreign = {"metadata": {"name": asked.attempt}, "spec": {"template": template}}
    await place.cluster.create(f"/apis/batch/v1/namespaces/{place.cluster.namespace}/jobs", foreign)
    async with place.launcher() as launcher:
        with pytest.raises(Invalid):
            await launcher.launch(asked)
        assert await launcher.known() == frozenset()
    assert await place.jobs() == [asked.attempt]


async def test_an_input_that_is_gone_is_not_launched(place: Place) -> None:
    stored = await place.store.put(OWN_BUCKET, "x", _nothing())
    await place.store.remove(OWN_BUCKET, "x")
    async with place.launcher() as launcher:
        with pytest.raises(NotFound):
            await launcher.launch(order("true", job={"payload": None, "stored": stored}, **BIG))
    assert await place.jobs() == []


async def test_stopped_before_it_has_a_node_it_was_cancelled_and_is_told_until_forgotten(
    place: Place,
) -> None:
    asked = order("true", **BIG)
    async with place.launcher() as launcher:
        await launcher.launch(asked)
        await launcher.stop(asked.attempt)
        first = await ending_of(launcher, asked.attempt, forget=False)
        assert first.reason is EndReason.CANCELLED
    async with place.launcher() as other:
        assert await ending_of(other, asked.attempt) == first
        await until(lambda: _empty(place))
        await other.stop(asked.attempt)


async def test_what_keeps_a_pod_from_a_node_is_told_while_it_waits_and_when_its_time_is_up(
    place: Place,
) -> None:
    asked = order("true", **BIG)
    full = "0/1 nodes are available: 1 Insufficient cpu."
    async with place.launcher() as launcher:
        await launcher.launch(asked)
        await _give_pod(place, asked.attempt, node="")
        unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": full}
        await _set_status(place, f"/api/v1/{{}}/pods/{asked.attempt}-x", conditions=[unplaced])
        listening = asyncio.create_task(ending_of(launcher, asked.attempt))
        await until(lambda: _hindered(launcher, asked.attempt, f"no node takes its pod: {full}"))
        await place.cluster.delete(_path(place, f"/api/v1/{{}}/pods/{asked.attempt}-x"))
        await until(lambda: _hindered(launcher, asked.attempt, ""))
        late = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}
        await _set_status(
            place,
            f"/apis/batch/v1/{{}}/jobs/{asked.attempt}",
            startTime="2026-11-24T03:00:00Z",
            conditions=[late, {**late, "type": "Failed"}],
        )
        ending = await listening
    assert ending.reason is EndReason.NOT_STARTED
    assert ending.detail == f"no node took its pod in time; no node takes its pod: {full}"


async def test_a_namespace_that_is_not_there_yet_is_waited_for(place: Place) -> None:
    missing = place.settings.model_copy(update={"kubernetes_namespace": "not-there-yet"})
    async with open_cluster(missing) as cluster, place.launcher(cluster) as launcher:
        with pytest.raises(Unavailable, match="not-there-yet"):
            await launcher.launch(order("true", **BIG))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0", EndReason.REFUSED),
        (
            'pods "x" is forbidden: error looking up service account a/default: serviceaccount "default" not '
            "found",
            EndReason.REFUSED,
        ),
        (
            'Internal error occurred: failed calling webhook "policy": connection refused',
            EndReason.REFUSED,
        ),
        ('pods "x" is forbidden: violates PodSecurity "restricted"', EndReason.NOT_STARTED),
    ],
)
async def test_a_pod_that_is_refused_is_told_by_whether_that_passes(
    place: Place, told: str, reason: EndReason
) -> None:
    asked = order("true", **BIG)
    async with place.launcher() as launcher:
        await launcher.launch(asked)
        await _tell_of_refusal(place, asked.attempt, told)
        ending = await ending_of(launcher, asked.attempt)
    assert (ending.reason, ending.detail) == (reason, f"Error creating: {told}")


async def test_a_job_that_somebody_deleted_is_told_as_interrupted(place: Place) -> None:
    asked = order("true", **BIG)
    async with place.launcher() as launcher:
        await launcher.launch(asked)
        listening = asyncio.create_task(ending_of(launcher, asked.attempt))
        await asyncio.sleep(0)
        await until(lambda: _watched(launcher, asked.attempt))
        path = f"/apis/batch/v1/namespaces/{place.cluster.namespace}/jobs/{asked.attempt}"
        await place.cluster.delete(path, {"propagationPolicy": "Background"})
        assert (await listening).reason is EndReason.INTERRUPTED


async def test_one_of_two_holds_the_lease_and_the_other_when_it_is_let_go_or_lost(place: Place) -> None:
    first, second, third = (Lease(place.cluster, lasts_s=1.5, renew_s=0.3) for _ in range(3))
    await first.hold()
    waiting = asyncio.create_task(second.hold())
    renewing = asyncio.create_task(first.renew())
    done, _ = await asyncio.wait([waiting], timeout=2.5)
    assert not done
    renewing.cancel()
    await first.let_go()
    async with asyncio.timeout(5):
        await waiting
    # The second one does not renew, as if it had been killed.
    async with asyncio.timeout(10):
        await third.hold()


class TestRights:
    """The list that the chart's Roles are held to is enough for all that is done with attempts."""

    async def test_a_workers_are_enough_from_the_launch_to_the_end(
        self, place: Place, kubeconfig: Path, tmp_path: Path
    ) -> None:
        await allow_all(place.cluster, WORKER)
        asked = order("true", **BIG)
        with capture_logs() as logs:
            async with _nobodys(place, kubeconfig, tmp_path) as cluster, place.launcher(cluster) as launcher:
                await _hold_and_let_go(Lease(cluster, lasts_s=1.5, renew_s=0.1))
                await launcher.ready()
                await launcher.launch(asked)
                await launcher.launch(asked)
                await _give_pod(place, asked.attempt)
                assert [chunk async for chunk in launcher.log(asked.attempt)] == []
                await launcher.stop(asked.attempt)
                assert await _deadline(place, asked.attempt) == 1
                await launcher.forget(asked.attempt)
                assert await launcher.known() == frozenset()
        assert [line for line in logs if line["log_level"] in ("warning", "error")] == []

    async def test_a_workers_are_enough_to_find_out_why_there_is_no_pod(
        self, place: Place, kubeconfig: Path, tmp_path: Path
    ) -> None:
        await allow_all(place.cluster, WORKER)
        asked = order("true", **BIG)
        with capture_logs() as logs:
            async with _nobodys(place, kubeconfig, tmp_path) as cluster, place.launcher(cluster) as launcher:
                await launcher.launch(asked)
                await _tell_of_refusal(place, asked.attempt, "exceeded quota: none")
                assert (await ending_of(launcher, asked.attempt)).reason is EndReason.REFUSED
        assert [line for line in logs if line["log_level"] in ("warning", "error")] == []
        assert await place.jobs() == []

    async def test_a_gateways_are_enough_to_cancel_and_to_show_logs_and_not_to_launch(
        self, place: Place, kubeconfig: Path, tmp_path: Path
    ) -> None:
        await allow_all(place.cluster, GATEWAY)
        asked = order("true", **BIG)
        async with place.launcher() as worker:
            await worker.launch(asked)
        await _give_pod(place, asked.attempt)
        async with _nobodys(place, kubeconfig, tmp_path) as cluster, place.launcher(cluster) as launcher:
            await launcher.ready()
            assert [chunk async for chunk in launcher.log(asked.attempt)] == []
            await launcher.stop(asked.attempt)
            assert await _deadline(place, asked.attempt) == 1
            with pytest.raises(Forbidden):
                await launcher.launch(order("true", **BIG))


@asynccontextmanager
async def _nobodys(place: Place, kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Cluster]:
    path = as_nobody(kubeconfig, tmp_path / "nobody.yaml")
    async with open_cluster(place.settings.model_copy(update={"kubeconfig": str(path)})) as cluster:
        yield cluster


async def _hold_and_let_go(lease: Lease) -> None:
    await lease.hold()
    renewing = asyncio.create_task(lease.renew())
    done, _ = await asyncio.wait([renewing], timeout=0.5)
    assert not done
    renewing.cancel()
    await lease.let_go()


async def _give_pod(place: Place, attempt: str, *, node: str = "nowhere") -> None:
    """As the Job's controller and a scheduler would, on a node that does not answer, or on none."""
    container = {"name": "oscar-container", "image": "dev.local/none:1"}
    pod = {
        "metadata": {"name": f"{attempt}-x", "labels": {ATTEMPT_LABEL: attempt}},
        "spec": {"restartPolicy": "Never", "containers": [container], **({"nodeName": node} if node else {})},
    }
    await place.cluster.create(f"/api/v1/namespaces/{place.cluster.namespace}/pods", pod)


async def _deadline(place: Place, attempt: str) -> int:
    pod = await place.cluster.get(f"/api/v1/namespaces/{place.cluster.namespace}/pods/{attempt}-x")
    deadline: int = pod["spec"]["activeDeadlineSeconds"]
    return deadline


async def _tell_of_refusal(place: Place, attempt: str, told: str) -> None:
    """As the Job's controller would."""
    namespace = place.cluster.namespace
    job = await place.cluster.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{attempt}")
    event = {
        "metadata": {"name": f"{attempt}.1"},
        "involvedObject": {
            "kind": "Job",
            "namespace": namespace,
            "name": attempt,
            "uid": job["metadata"]["uid"],
        },
        "reason": "FailedCreate",
        "message": f"Error creating: {told}",
    }
    await place.cluster.create(f"/api/v1/namespaces/{namespace}/events", event)


async def test_it_is_ready(place: Place) -> None:
    async with place.launcher() as launcher:
        await launcher.ready()


def _path(place: Place, path: str) -> str:
    return path.format(f"namespaces/{place.cluster.namespace}")


async def _set_status(place: Place, path: str, **status: Any) -> None:
    """As who is in charge of it would."""
    await place.cluster.patch(f"{_path(place, path)}/status", {"status": status})


async def _hindered(launcher: KubernetesLauncher, attempt: AttemptId, why: str) -> bool:
    return launcher.hindrances().get(attempt) == why


async def _empty(place: Place) -> bool:
    return await place.jobs() == []


async def _watched(launcher: KubernetesLauncher, attempt: str) -> bool:
    return attempt in launcher._watch._jobs.attempts()  # nothing else tells


async def _nothing() -> AsyncIterator[bytes]:
    yield b"x"
