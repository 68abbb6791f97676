"""The demo's own gateway: a child process on free ports with a fresh data folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.client import Client, DemoError, wait_for

START_LIMIT_S = 60
STOP_LIMIT_S = 30
# Only these pass: a DATABASE_URL of the user's shell must not make the demo use another database.
PASSED_ON = ("PATH", "HOME", "LANG", "PROCESS_PATH")


@contextmanager
def running_gateway(data_dir: Path, log: Path) -> Iterator[Client]:
    """A client of a gateway that serves. Raises DemoError if it does not come up, or breaks later."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "S3_PORT": "0", "LOG_FORMAT": "json"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait_until_ready(process, data_dir / "endpoints.json")
    finally:
        status = _stop(process)
    if status != 0:
        raise DemoError(f"the gateway ended with status {status}")


def _wait_until_ready(process: subprocess.Popen[bytes], endpoints: Path) -> Client:
    """The gateway writes that file once it listens."""

    def look() -> Client | None:
        if process.poll() is not None:
            raise DemoError(f"the gateway ended at its start with status {process.returncode}")
        if not endpoints.exists():
            return None
        told = json.loads(endpoints.read_text())
        client = Client(told["url"], told["username"], told["password"])
        return client if client.ready() else None

    return wait_for("the gateway to be ready", look, limit_s=START_LIMIT_S)


def _stop(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
