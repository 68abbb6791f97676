"""OSCAR's access lines outlive the process: those that waited for their batch are written when it ends."""

from pathlib import Path

from tests.gateway_process import GatewayProcess
from tests.wire.raw import backend


def test_the_last_calls_before_an_orderly_stop_are_in_the_access_log(tmp_path: Path) -> None:
    with backend() as (url, _), GatewayProcess(tmp_path / "data", {"INVOKER_URL": url}) as process:
        with process.http() as http:
            http.post("/system/services", json={"name": "last", "image": "example.org/none", "script": "cat"})
            for _ in range(5):
                assert http.post("/run/last").status_code == 200
        assert process.stop() == 0
        lines = (tmp_path / "data" / "access.log").read_text().splitlines()
    assert sum("/run/last" in line for line in lines) == 5
