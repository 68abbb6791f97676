"""What only the registry in a cluster promises: OSCAR's layout, whole deploys, and bad weather got over."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.backends.cluster import Cluster
from gateway.backends.cluster.rights import GATEWAY, WORKER
from gateway.backends.registry.kubernetes.registry import KubernetesRegistry, open_kubernetes_registry
from gateway.backends.registry.kubernetes.secret_writer import SecretWriter
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Conflict, Invalid, Problem, Unavailable
from gateway.domain.service import Environment, Service
from tests.contracts.kubernetes_registry import cluster_in, open_in
from tests.polling import until
from tests.registry.cut import Cut, open_cut
from tests.registry.dying import Dying
from tests.registry.test_config_map import OSCARS
from tests.servers.nobody import allow, allow_all, as_nobody

pytestmark = pytest.mark.services

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MUCH_LATER = timedelta(hours=1)


@pytest.fixture
async def registry(kubeconfig: Path, namespace: str) -> AsyncIterator[KubernetesRegistry]:
    async with open_in(kubeconfig, namespace) as opened:
        yield opened


def deployed(name: str = "grey", *, uid: str = "u1", secrets: dict[str, str] | None = None) -> Deployed:
    service = Service(
        name=name, image="debian:12", script="cat", environment=Environment(secrets=secrets or {})
    )
    return Deployed(service, uid, NOW, NOW)


def changed(old: Deployed, *, secrets: dict[str, str]) -> Deployed:
    service = old.service.model_copy(update={"environment": Environment(secrets=secrets), "script": "tac"})
    return replace(old, service=service, updated_at=old.updated_at + timedelta(seconds=1))


def path(cluster: Cluster, kind: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{cluster.namespace}/{kind}" + (f"/{name}" if name else "")


async def secrets_of(cluster: Cluster) -> dict[str, dict[str, str]]:
    found = await cluster.list(path(cluster, "secrets"))
    return {
        one["metadata"]["name"]: {key: base64.b64decode(text).decode() for key, text in one["data"].items()}
        for one in found["items"]
    }


async def put_oscars(cluster: Cluster, name: str = "cowsay", **data: str) -> None:
    whole = {**OSCARS["data"], **data}
    whole["function_config.yaml"] = whole["function_config.yaml"].replace("name: cowsay", f"name: {name}")
    metadata = {"name": name, "labels": {"oscar_service": name}}
    await cluster.create(path(cluster, "configmaps"), {"metadata": metadata, "data": whole})


async def eventually(
    registry: KubernetesRegistry, condition: Callable[[Deployed | None], bool], name: str
) -> None:
    async def holds() -> bool:
        return condition(registry.get(name))

    await until(holds)


class TestLayout:
    async def test_a_service_of_oscar_appears_with_its_secrets_and_goes_again(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        values = {"KEY": base64.b64encode(b"hush").decode()}
        await cluster.create(path(cluster, "secrets"), {"metadata": {"name": "cowsay"}, "data": values})
        await put_oscars(cluster)

        await eventually(registry, lambda one: one is not None, "cowsay")
        found = registry.get("cowsay")
        assert found is not None
        assert found.service.environment.secrets == {"KEY": "hush"}
        assert found.service.owner == "cluster_admin"

        await registry.remove("cowsay")
        assert registry.get("cowsay") is None

    async def test_a_service_of_oscar_can_be_changed_and_is_ours_then(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        await put_oscars(cluster)
        await eventually(registry, lambda one: one is not None, "cowsay")
        old = registry.get("cowsay")
        assert old is not None
        new = changed(old, secrets={"KEY": "new"})

        await registry.replace(new, previous=old)

        assert registry.get("cowsay") == new
        assert await secrets_of(cluster) == {"cowsay": {"KEY": "new"}}

    async def test_oscar_finds_ours_by_label_name_and_keys(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        await registry.create(deployed(secrets={"KEY": "hush"}))

        (found,) = (await cluster.list(path(cluster, "configmaps"), "oscar_service=grey"))["items"]
        assert found["metadata"]["name"] == "grey"
        assert found["data"].keys() == {"function_config.yaml", "script.sh"}
        assert await secrets_of(cluster) == {"grey": {"KEY": "hush"}}

    async def test_what_another_process_deploys_changes_and_removes_is_seen(
        self, registry: KubernetesRegistry, kubeconfig: Path, namespace: str
    ) -> None:
        async with open_in(kubeconfig, namespace) as other:
            first = deployed(secrets={"KEY": "one"})
            second = changed(first, secrets={"KEY": "two"})
            await other.create(first)
            assert await registry.look_up("grey") == first
            await other.replace(second, previous=first)
            await eventually(registry, lambda one: one == second, "grey")
            await other.remove("grey")
            await eventually(registry, lambda one: one is None, "grey")
            assert await registry.look_up("grey") is None

    async def test_only_services_are_looked_up(self, registry: KubernetesRegistry, cluster: Cluster) -> None:
        await cluster.create(path(cluster, "configmaps"), {"metadata": {"name": "plain"}, "data": {}})

        for name in ("plain", "kube-root-ca.crt", "..", "../secrets/x", "plain?watch=1", ""):
            assert await registry.look_up(name) is None

    async def test_one_that_cannot_be_read_is_told_once_and_keeps_no_other_from_being_read(
        self, kubeconfig: Path, namespace: str, cluster: Cluster
    ) -> None:
        await put_oscars(cluster, "bad", **{"function_config.yaml": "name: ["})
        await put_oscars(cluster, "good")

        with capture_logs() as logs:
            async with open_in(kubeconfig, namespace) as registry:
                assert [one.service.name for one in registry.all()] == ["good"]
                assert registry.unreadable() == 1
                with pytest.raises(Unavailable, match="cannot be read"):
                    await registry.look_up("bad")
                with pytest.raises(Conflict):
                    await registry.create(deployed("bad"))
                await registry.ready()

        told = [line for line in logs if line["event"] == "service.unreadable"]
        assert [line["config_map"] for line in told] == ["bad"]

    async def test_one_that_becomes_unreadable_stays_as_it_was(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        await registry.create(deployed())
        await cluster.patch(path(cluster, "configmaps", "grey"), {"data": {"script.sh": ""}})

        async def told() -> bool:
            return registry.unreadable() == 1

        await until(told)
        assert registry.get("grey") == deployed()

    async def test_a_secret_of_somebody_else_is_not_overwritten(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        values = {"accessKey": base64.b64encode(b"root").decode()}
        await cluster.create(path(cluster, "secrets"), {"metadata": {"name": "minio"}, "data": values})

        with pytest.raises(Conflict):
            await registry.create(deployed("minio", secrets={"KEY": "x"}))
        await registry.create(deployed("minio"))
        await registry.remove("minio")

        assert await secrets_of(cluster) == {"minio": {"accessKey": "root"}}

    async def test_a_deploy_that_settles_late_does_not_overwrite_a_later_one(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        await registry.create(deployed(secrets={"KEY": "later"}))

        await SecretWriter(cluster, lambda: NOW).settle("grey", "an-earlier-writing", {"KEY": "earlier"})

        assert await secrets_of(cluster) == {"grey": {"KEY": "later"}}

    async def test_a_service_larger_than_kubernetes_keeps_is_invalid_and_leaves_nothing(
        self, registry: KubernetesRegistry, cluster: Cluster
    ) -> None:
        large = deployed(secrets={"KEY": "x"})
        script = "x" * (1 << 20)
        large = replace(large, service=large.service.model_copy(update={"script": script}))

        with pytest.raises(Invalid, match="at most 1048576"):
            await registry.create(large)

        assert registry.get("grey") is None
        assert await secrets_of(cluster) == {}


@asynccontextmanager
async def dying_registry(
    kubeconfig: Path, namespace: str, *, writes: int, last_is_done: bool
) -> AsyncIterator[tuple[KubernetesRegistry, Dying]]:
    async with cluster_in(kubeconfig, namespace) as cluster:
        dying = Dying(cluster._connection, writes=writes, last_is_done=last_is_done)
        opening = open_kubernetes_registry(
            Cluster(dying, namespace), now=lambda: datetime.now(UTC), tidy_s=300
        )
        async with opening as registry:
            yield registry, dying


@pytest.mark.parametrize("last_is_done", [True, False])
@pytest.mark.parametrize("writes", range(5))
class TestHalfWay:
    """Killed at each write of a deploy: it is whole or not there, and after tidying nothing else is left."""

    async def test_a_creation(
        self, kubeconfig: Path, namespace: str, cluster: Cluster, writes: int, last_is_done: bool
    ) -> None:
        wanted = deployed(secrets={"KEY": "hush"})
        async with dying_registry(kubeconfig, namespace, writes=writes, last_is_done=last_is_done) as (
            one,
            _,
        ):
            said = await _outcome(one.create(wanted))

        found = await _tidied(kubeconfig, namespace)

        assert found in (wanted, None)
        assert found == wanted or said is not None
        assert await secrets_of(cluster) == ({"grey": {"KEY": "hush"}} if found else {})

    async def test_a_change(
        self, kubeconfig: Path, namespace: str, cluster: Cluster, writes: int, last_is_done: bool
    ) -> None:
        old = deployed(secrets={"KEY": "old", "OTHER": "x"})
        new = changed(old, secrets={"KEY": "new"})
        async with open_in(kubeconfig, namespace) as before:
            await before.create(old)
        async with dying_registry(kubeconfig, namespace, writes=writes, last_is_done=last_is_done) as (
            one,
            _,
        ):
            said = await _outcome(one.replace(new, previous=old))

        found = await _tidied(kubeconfig, namespace)

        assert found in (old, new)
        assert found == new or said is not None
        assert await secrets_of(cluster) == {"grey": found.service.environment.secrets if found else {}}

    async def test_a_removal(
        self, kubeconfig: Path, namespace: str, cluster: Cluster, writes: int, last_is_done: bool
    ) -> None:
        old = deployed(secrets={"KEY": "old"})
        async with open_in(kubeconfig, namespace) as before:
            await before.create(old)
        async with dying_registry(kubeconfig, namespace, writes=writes, last_is_done=last_is_done) as (
            one,
            _,
        ):
            said = await _outcome(one.remove("grey"))

        found = await _tidied(kubeconfig, namespace)

        assert found in (old, None)
        assert found is None or said is not None
        assert await secrets_of(cluster) == ({"grey": {"KEY": "old"}} if found else {})


async def _outcome(write: Any) -> Problem | None:
    try:
        await write
    except Problem as problem:
        return problem
    return None


async def _tidied(kubeconfig: Path, namespace: str) -> Deployed | None:
    """What the next process makes of it: at once, and after its tidying, an hour later by its clock."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(cluster_in(kubeconfig, namespace))
        opening = open_kubernetes_registry(cluster, now=lambda: datetime.now(UTC) + MUCH_LATER, tidy_s=0.1)
        registry = await stack.enter_async_context(opening)
        at_once = registry.get("grey")

        async def settled() -> bool:
            names = set(await secrets_of(cluster))
            return names <= ({"grey"} if registry.get("grey") else set())

        await until(settled)
        assert registry.get("grey") == at_once
        return at_once


class TestWeather:
    @pytest.fixture
    async def cut(self, kubeconfig: Path, tmp_path: Path) -> AsyncIterator[tuple[Cut, Path]]:
        async with open_cut(kubeconfig, tmp_path / "through-a-cut.yaml") as opened:
            yield opened

    async def test_after_a_cut_the_changes_meanwhile_are_seen_and_ready_told_of_it(
        self, cut: tuple[Cut, Path], namespace: str, kubeconfig: Path
    ) -> None:
        line, through = cut
        async with open_in(kubeconfig, namespace) as other, open_in(through, namespace) as registry:
            await registry.create(deployed("red"))
            await line.cut()
            await other.create(deployed("grey"))
            await other.remove("red") if await other.look_up("red") else None

            await until(lambda: _refuses(registry))
            assert registry.get("red") == deployed("red")
            with pytest.raises(Unavailable):
                await registry.create(deployed("blue"))

            line.mend()
            await eventually(registry, lambda one: one is not None, "grey")
            await eventually(registry, lambda one: one is None, "red")
            await registry.ready()

    async def test_a_process_that_starts_without_the_api_server_knows_nothing_and_says_so_until_it_is_back(
        self, cut: tuple[Cut, Path], namespace: str, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line, through = cut
        await line.cut()
        monkeypatch.setattr("gateway.backends.registry.kubernetes.registry.FIRST_READ_S", 0.1)
        async with open_in(kubeconfig, namespace) as other, open_in(through, namespace) as registry:
            await other.create(deployed())
            for ask in (lambda: registry.get("grey"), lambda: list(registry.all())):
                with pytest.raises(Unavailable):
                    ask()
            with pytest.raises(Unavailable):
                await registry.ready()

            line.mend()

            async def back() -> bool:
                return not await _refuses(registry)

            await until(back)
            assert registry.get("grey") == deployed()

    async def test_missing_rights_are_told_and_mended_without_a_restart(
        self,
        kubeconfig: Path,
        namespace: str,
        cluster: Cluster,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("gateway.backends.registry.kubernetes.registry.FIRST_READ_S", 0.5)
        nobody = as_nobody(kubeconfig, tmp_path / "nobody.yaml")
        with capture_logs() as logs:
            async with open_in(nobody, namespace) as registry:
                with pytest.raises(Unavailable, match="does not allow this process to list configmaps"):
                    await registry.ready()
                await allow(cluster, "configmaps", ["get", "list", "watch"])
                await until(lambda: _refuses(registry, "list secrets"))
                await allow(cluster, "secrets", ["get", "list"])

                async def ready() -> bool:
                    return not await _refuses(registry)

                await until(ready)
                with pytest.raises(Unavailable, match="does not allow this process to create configmaps"):
                    await registry.create(deployed())
        assert [line["why"] for line in logs if line["event"] == "watch.broken"] == [
            f"Kubernetes does not allow this process to list configmaps in {namespace}"
        ]


class TestRights:
    """The list that the chart's Roles are held to is enough, and a worker's is not enough to deploy."""

    async def test_a_gateways_rights_are_enough_to_deploy_change_and_remove(
        self, kubeconfig: Path, namespace: str, cluster: Cluster, tmp_path: Path
    ) -> None:
        nobody = as_nobody(kubeconfig, tmp_path / "nobody.yaml")
        await allow_all(cluster, GATEWAY)
        old = deployed(secrets={"KEY": "old"})
        new = changed(old, secrets={"KEY": "new"})

        with capture_logs() as logs:
            async with open_in(nobody, namespace, tidy_s=0.1) as registry:
                await registry.create(old)
                await registry.replace(new, previous=old)
                assert await registry.look_up("grey") == new
                await registry.remove("grey")
                await registry.ready()

        assert [line for line in logs if line["log_level"] in ("warning", "error")] == []
        assert await secrets_of(cluster) == {}

    async def test_a_workers_rights_are_enough_to_follow_and_no_more(
        self, kubeconfig: Path, namespace: str, cluster: Cluster, tmp_path: Path, registry: KubernetesRegistry
    ) -> None:
        nobody = as_nobody(kubeconfig, tmp_path / "nobody.yaml")
        await allow_all(cluster, WORKER)
        await registry.create(deployed(secrets={"KEY": "hush"}))

        async with open_in(nobody, namespace, tidy_s=0.1) as worker:
            await worker.ready()
            assert worker.get("grey") == deployed(secrets={"KEY": "hush"})
            with pytest.raises(Unavailable, match="does not allow"):
                await worker.remove("grey")


async def _refuses(registry: KubernetesRegistry, why: str = "") -> bool:
    try:
        await registry.ready()
    except Unavailable as problem:
        return why in problem.detail
    return False
