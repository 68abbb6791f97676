"""One gateway process in front of a backend of the tests' own, for all of them."""

from collections.abc import Iterator

import pytest

from tests.gateway_process import GatewayProcess
from tests.wire.raw import Asked, Client, backend


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Asked, GatewayProcess]]:
    with backend() as (url, asked):
        process = GatewayProcess(tmp_path_factory.mktemp("wire"), {"INVOKER_URL": url, "CALL_LIMIT_S": "20"})
        with process, process.http() as http:
            definition = {"name": "echo", "image": "example.org/none", "script": "cat"}
            assert http.post("/system/services", json=definition).status_code == 201
            token = http.get("/system/services/echo").json()["token"]
            yield Client(process.endpoints["url"], token), asked, process


@pytest.fixture
def client(served: tuple[Client, Asked, GatewayProcess]) -> Client:
    return served[0]


@pytest.fixture
def asked(served: tuple[Client, Asked, GatewayProcess]) -> Asked:
    """Fresh for each test."""
    asked = served[1]
    asked.bodies.clear()
    asked.heads.clear()
    asked.cut = 0
    asked.started.clear()
    asked.closed.clear()
    return asked


@pytest.fixture
def process(served: tuple[Client, Asked, GatewayProcess]) -> GatewayProcess:
    return served[2]
