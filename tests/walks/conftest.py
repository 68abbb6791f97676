"""One gateway for all walks of a module; each walk uses services of its own."""

from collections.abc import Iterator

import pytest

from tests.gateway_process import GatewayProcess


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("gateway")) as started:
        yield started
