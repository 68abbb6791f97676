"""Somebody whom a test's own API server knows, and who may do there what a test allows him and no more."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.backends.cluster import Cluster
from gateway.backends.cluster.rights import Right
from tests.servers.control_plane import ADMIN, write_kubeconfig

GROUP = "rbac.authorization.k8s.io"


def as_nobody(kubeconfig: Path, path: Path) -> Path:
    """His kubeconfig. Skips on a cluster that was there already: it does not know him."""
    text = kubeconfig.read_text()
    if ADMIN not in text:
        pytest.skip("needs an API server of the test's own")
    server = next(line.split()[-1] for line in text.splitlines() if "server:" in line)
    return write_kubeconfig(path, server, "nobody-token")


async def allow(cluster: Cluster, kind: str, verbs: list[str]) -> None:
    """In the namespace of `cluster`, an administrator's, as everything here."""
    await _bind(cluster, kind, [{"apiGroups": [""], "resources": [kind], "verbs": verbs}])


async def allow_all(cluster: Cluster, rights: Sequence[Right]) -> None:
    rules = [
        {"apiGroups": [one.group], "resources": [one.resource], "verbs": sorted(one.verbs)} for one in rights
    ]
    await _bind(cluster, "all", rules)


async def _bind(cluster: Cluster, kind: str, rules: list[dict[str, list[str]]]) -> None:
    base = f"/apis/{GROUP}/v1/namespaces/{cluster.namespace}"
    await cluster.create(f"{base}/roles", {"metadata": {"name": kind}, "rules": rules})
    binding = {
        "metadata": {"name": kind},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": kind},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "nobody"}],
    }
    await cluster.create(f"{base}/rolebindings", binding)
