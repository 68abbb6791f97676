"""A client that leaves as soon as it has its answer, as `curl` does: it is answered, not gone."""

from pathlib import Path

from tests.gateway_process import GatewayProcess, wait_for


def test_who_leaves_with_the_whole_answer_counts_as_answered(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway, gateway.http() as watching:
        definition = {"name": "shout", "image": "none", "script": 'tr a-z A-Z < "$INPUT_FILE_PATH"'}
        assert watching.post("/system/services", json=definition).status_code == 201
        for _ in range(5):
            with gateway.http() as http:
                assert http.post("/run/shout", content=b"hello").text == "HELLO"

        def outcomes() -> list[str]:
            lines = watching.get("/metrics").text.splitlines()
            return [line for line in lines if line.startswith("oscar_gateway_calls_total")]

        wait_for(lambda: outcomes() == ['oscar_gateway_calls_total{outcome="ok",service="shout"} 5.0'])
        assert "Traceback" not in gateway.log()
