"""Real servers for the tests that need them, started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.control_plane import control_plane


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of an administrator of a real Kubernetes API server."""
    with control_plane(tmp_path_factory.mktemp("control-plane")) as path:
        yield path
