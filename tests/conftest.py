"""Real servers for the tests that need them, started once."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.control_plane import control_plane
from tests.servers.installation import Installation, installation

if TYPE_CHECKING:
    from gateway.backends.cluster import Cluster


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of an administrator of a real Kubernetes API server."""
    with control_plane(tmp_path_factory.mktemp("control-plane")) as path:
        yield path


@pytest.fixture
async def namespace(kubeconfig: Path) -> AsyncIterator[str]:
    """One of the test's own on that server."""
    from tests.contracts.kubernetes_registry import namespace_of_its_own  # half a second, for few tests

    async with namespace_of_its_own(kubeconfig) as name:
        yield name


@pytest.fixture
async def cluster(kubeconfig: Path, namespace: str) -> AsyncIterator["Cluster"]:
    """A client whose namespace is that one."""
    from tests.contracts.kubernetes_registry import cluster_in

    async with cluster_in(kubeconfig, namespace) as opened:
        yield opened


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The whole cluster form, ready."""
    with installation(tmp_path_factory.mktemp("installation")) as ready:
        yield ready
