"""Real servers for the tests that need them, started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.control_plane import control_plane
from tests.servers.installation import Installation, installation


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of an administrator of a real Kubernetes API server."""
    with control_plane(tmp_path_factory.mktemp("control-plane")) as path:
        yield path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The whole cluster form, ready."""
    with installation(tmp_path_factory.mktemp("installation")) as ready:
        yield ready
