"""Installed, upgraded and uninstalled on a real API server, which accepts every object as it is."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.cluster import Cluster
from tests.chart.generated import CHART
from tests.chart.helm import NEEDED, helm
from tests.contracts.kubernetes_registry import NAMESPACES

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

Helm = Callable[..., str]


@pytest.fixture
def run(kubeconfig: Path, namespace: str) -> Helm:
    def run_helm(*arguments: str, values: dict[str, Any] | None = None) -> str:
        done = helm(*arguments, "--kubeconfig", str(kubeconfig), "--namespace", namespace, values=values)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_helm


async def test_a_release_comes_changes_and_goes_and_its_services_stay(
    run: Helm, cluster: Cluster, namespace: str
) -> None:
    functions = f"functions-{secrets.token_hex(4)}"
    values: dict[str, Any] = {**NEEDED, "services": {"namespace": functions}, "ingress": {"enabled": True}}
    path = f"{NAMESPACES}/{namespace}"
    deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/og-oscar-gateway-worker"
    try:
        told = run("install", "og", str(CHART), values=values)
        assert f"http://og-oscar-gateway.{namespace}.svc:8080" in told
        before = await cluster.get(f"{path}/secrets/og-oscar-gateway")
        first = await cluster.get(deployment)

        changed = {**values, "worker": {"replicas": 5}, "settings": {**NEEDED["settings"], "CALL_LIMIT_S": 7}}
        run("upgrade", "og", str(CHART), values=changed)
        after = await cluster.get(f"{path}/secrets/og-oscar-gateway")
        second = await cluster.get(deployment)

        assert before["data"]["OSCAR_PASSWORD"] == after["data"]["OSCAR_PASSWORD"]
        assert second["spec"]["replicas"] == 5
        assert _checksum(first) != _checksum(second)

        run("uninstall", "og")
        left = [one["metadata"]["name"] for one in (await cluster.list(f"{path}/serviceaccounts"))["items"]]
        assert [name for name in left if name.startswith("og-")] == []
        assert (await cluster.get(f"{NAMESPACES}/{functions}"))["status"]["phase"] == "Active"
    finally:
        await cluster.delete(f"{NAMESPACES}/{functions}")


def _checksum(deployment: dict[str, Any]) -> str:
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["checksum/config"])
