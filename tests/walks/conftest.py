"""One gateway for all walks of a module, on this machine alone and as it is installed on a cluster; each walk
uses services of its own."""

from collections.abc import Iterator

import pytest

from tests.gateway_process import GatewayProcess, Reached

ON_A_CLUSTER = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture(scope="module", params=["process", pytest.param("installed", marks=ON_A_CLUSTER)])
def gateway(request: pytest.FixtureRequest) -> Reached:
    reached: Reached = request.getfixturevalue(request.param)
    return reached
