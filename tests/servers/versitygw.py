"""versitygw for tests: a second real S3 store, which tells of nothing; files in a temporary folder.

Found as a local binary, built from the Go module `github.com/versity/versitygw`; else the test is skipped,
and fails with `CI=true`.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.backends.objects.protocol import Provider
from tests.servers.minio import answers, free_port

VERSION = "v1.8.0"
CACHE = Path("~/.cache/oscar-gateway/bin").expanduser()
START_S = 20.0


@contextmanager
def versitygw(folder: Path) -> Iterator[Provider]:
    """A running one."""
    binary = shutil.which("versitygw") or str(CACHE / f"versitygw-{VERSION}")
    if not Path(binary).is_file():
        if os.environ.get("CI"):
            pytest.fail("no versitygw: there is no binary")
        pytest.skip("no versitygw here")
    address = f"127.0.0.1:{free_port()}"
    provider = Provider(f"http://{address}", False, "us-east-1", "tests", secrets.token_urlsafe(24))
    keys = {"ROOT_ACCESS_KEY": provider.access_key, "ROOT_SECRET_KEY": provider.secret_key}
    for name in ("data", "versions"):
        (folder / name).mkdir()
    with (folder / "versitygw.log").open("ab") as log:
        process = subprocess.Popen(
            [binary, "--port", address, "posix", "--versioning-dir", str(folder / "versions"), "data"],
            env={"PATH": os.environ["PATH"], **keys},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + START_S
        while not answers(provider.endpoint):
            assert process.poll() is None, (folder / "versitygw.log").read_text()
            assert time.monotonic() < deadline, "versitygw does not answer"
            time.sleep(0.02)
        yield provider
    finally:
        process.kill()
        process.wait()
