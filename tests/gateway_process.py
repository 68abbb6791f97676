"""A gateway as a process of its own, as a user starts it: real ports, real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx
from botocore.config import Config

from tests.ledger.template import lay_empty_ledger

START_S = 60.0
IMAGE = os.environ.get("TEST_SCRIPT_IMAGE", "none")
"""Of services whose script any image with a shell can run; a process needs none."""
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
"""How many times longer than on this machine alone things take where scripts run in pods."""

T = TypeVar("T")


def wait_for(condition: Callable[[], T], *, within_s: float = 15.0, every_s: float = 0.05) -> T:
    """The first true answer of `condition`; AssertionError when there was none in time."""
    deadline = time.monotonic() + within_s * PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not true within {within_s} s: {condition}"
        time.sleep(every_s)
    return answer


@dataclass
class Reached:
    """A gateway that serves, wherever it runs, and how to reach it."""

    endpoints: dict[str, str]

    def s3(self) -> Any:
        """A boto3 client of its store; to be closed."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoints["s3"],
            region_name="us-east-1",
            aws_access_key_id=self.endpoints["access_key"],
            aws_secret_access_key=self.endpoints["secret_key"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def http(self, **options: Any) -> httpx.Client:
        """A client with the administrator's credential."""
        auth = (self.endpoints["username"], self.endpoints["password"])
        return httpx.Client(base_url=self.endpoints["url"], auth=auth, timeout=30 * PATIENCE, **options)


class GatewayProcess(Reached):
    """`python -m gateway` over a data folder; started, killed and started again at will."""

    data_dir: Path
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__({})
        self.data_dir, self.settings, self.process = data_dir, settings or {}, None

    def start(self) -> "GatewayProcess":
        """Launched, and ready."""
        self.launch()
        with self.http() as http:
            wait_for(lambda: http.get("/ready").status_code == 200, within_s=START_S)
        return self

    def launch(self) -> None:
        """It serves, whether its parts are there or not."""
        announced = self.data_dir / "endpoints.json"
        announced.unlink(missing_ok=True)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if "DATABASE_URL" not in self.settings:
            lay_empty_ledger(self.data_dir)
        environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(self.data_dir),
            "HTTP_PORT": "0",
            "S3_PORT": "0",
            **self.settings,
        }
        with (self.data_dir / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[1],
            )
        wait_for(lambda: announced.exists() or self._ended(), within_s=START_S, every_s=0.01)
        self.endpoints = json.loads(announced.read_text())

    def __enter__(self) -> "GatewayProcess":
        try:
            return self.start()
        except BaseException:
            if self.process is not None:
                self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        """It ends, whatever happened; in order if it can."""
        assert self.process is not None
        if self.process.poll() is None:
            assert self.stop() == 0, self.log()

    def kill(self) -> None:
        """SIGKILL, as the machine does it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def log(self) -> str:
        return (self.data_dir / "gateway.log").read_text()

    def _ended(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the gateway ended at its start:\n{self.log()}"
        return False
