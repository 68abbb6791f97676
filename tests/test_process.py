"""How the process starts and ends: a line that names the setting, never a traceback, and an exit status
that says which."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess

ROOT = Path(__file__).parents[1]


def start(data_dir: Path, *arguments: str, module: str = "gateway", **settings: str) -> tuple[int, str]:
    """Exit status and what it said, of a process that does not get to serve."""
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), "HTTP_PORT": "0", "S3_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment | settings,
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=20,
    )
    return ended.returncode, ended.stderr.decode()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("HTTP_PORT", "eighty"),
        ("LOG_LEVEL", "loud"),
        ("JOBS_LIVE_LIMIT", "0"),
        ("QUEUE_URL", "carrier-pigeon:"),
        ("OBJECTS_URL", "shoe-box:"),
        ("DATABASE_URL", "punched-cards://here"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, setting: str, value: str) -> None:
    status, said = start(tmp_path, **{setting: value})
    assert status in (1, 2)
    assert setting in said
    assert said.count("\n") == 1, said
    assert "Traceback" not in said


def test_a_worker_names_every_part_it_cannot_share_with_a_gateway(tmp_path: Path) -> None:
    assert start(tmp_path, module="workers", QUEUE_URL="amqp://localhost") == (
        2,
        "oscar-gateway worker: DATABASE_URL, REGISTRY_URL, OBJECTS_URL: a worker of its own needs one that "
        "processes can share\n",
    )


def test_several_gateways_name_every_part_they_cannot_share(tmp_path: Path) -> None:
    refused = (
        2,
        "oscar-gateway: DATABASE_URL, REGISTRY_URL, OBJECTS_URL: more than one GATEWAY_PROCESSES need one "
        "that processes can share\n",
    )
    assert start(tmp_path, "--workers", "2", QUEUE_URL="amqp://localhost") == refused
    assert start(tmp_path, GATEWAY_PROCESSES="2", QUEUE_URL="amqp://localhost") == refused


def test_a_number_of_gateways_that_is_none_is_named(tmp_path: Path) -> None:
    status, said = start(tmp_path, "--workers", "many")
    assert (status, said.startswith("oscar-gateway: GATEWAY_PROCESSES: "), said.count("\n")) == (2, True, 1)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert start(tmp_path, HTTP_PORT=port) == (
            2,
            f"oscar-gateway: HTTP_PORT: cannot listen on 127.0.0.1 port {port}: Address already in use\n",
        )


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, said = start(tmp_path / "file")
    assert (status, said.count("\n"), said.startswith("oscar-gateway: DATA_DIR: ")) == (2, 1, True)


def test_a_second_gateway_on_the_same_data_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as first:
        status, said = start(tmp_path)
        assert status == 2
        assert "another gateway or worker uses" in said
        with first.http() as http:
            assert http.get("/health").text == "Ok"


def test_credentials_are_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        made = dict(gateway.endpoints)
        for name in ("credentials.json", "endpoints.json"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with GatewayProcess(tmp_path, {"OSCAR_PASSWORD": "given"}) as gateway:
        assert gateway.endpoints["password"] == "given"
        assert gateway.endpoints["secret_key"] == made["secret_key"]
    assert "given" not in (tmp_path / "credentials.json").read_text()


def test_no_secret_is_in_the_log_in_json(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, {"LOG_FORMAT": "json", "LOG_LEVEL": "debug"}) as gateway:
        with gateway.http() as http:
            body = {
                "name": "quiet",
                "image": "none",
                "script": "echo",
                "environment": {"secrets": {"KEY": "a-secret-value"}, "variables": {"V": "a-variable-value"}},
                "clusters": {"c": {"endpoint": "http://c", "auth_password": "a-cluster-password"}},
            }
            assert http.post("/system/services", json=body).status_code == 201
            token = http.get("/system/services/quiet").json()["token"]
            assert http.post("/run/quiet", content=b"a-body").status_code == 200
            assert http.post("/job/quiet", content=b"a-body").status_code == 201
        secrets = [gateway.endpoints[name] for name in ("password", "secret_key")]
    for secret in (*secrets, token, "a-secret-value", "a-variable-value", "a-cluster-password", "a-body"):
        assert secret not in gateway.log()
