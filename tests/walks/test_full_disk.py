"""A full disk under everything the gateway keeps: clear refusals, nothing lost, well again by itself."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.gateway_process import GatewayProcess, wait_for

SIZE = "24m"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.fixture
def gateway(small: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(small / "data") as started:
        yield started


def test_a_full_disk_is_told_and_got_over(gateway: GatewayProcess, small: Path) -> None:
    with gateway.http() as http:
        assert deploy(http, "before").status_code == 201
        fill(small / "ballast")
        assert deploy(http, "during").status_code == 507
        assert http.get("/system/services/during").status_code == 404
        answers = [http.post("/job/before", content=b"x" * 20_000) for _ in range(3)]
        assert 507 in {answer.status_code for answer in answers}
        accepted = [one.headers["X-OSCAR-Job-ID"] for one in answers if one.status_code == 201]
        assert http.post("/run/before", content=b"x" * 200_000).status_code == 507
        assert put(gateway, b"x" * 100_000) == "StorageFull"
        assert http.get("/ready").status_code == 503
        assert http.get("/v1/jobs").status_code == 200

        (small / "ballast").unlink()
        assert deploy(http, "during").status_code == 201
        assert http.post("/run/before", content=b"here again").text == "here again"
        assert put(gateway, b"x" * 100_000) == "stored"
        accepted.append(http.post("/job/before", content=b"x" * 20_000).headers["X-OSCAR-Job-ID"])

        def succeeded() -> bool:
            jobs = http.get("/v1/jobs", params={"state": "succeeded"}).json()["jobs"]
            return {job["id"] for job in jobs} >= set(accepted) and len(jobs) == len(accepted) + 1

        wait_for(succeeded)
        assert http.get("/ready").status_code == 200


def deploy(http: httpx.Client, name: str) -> httpx.Response:
    body = {"name": name, "image": "none", "script": "cat $INPUT_FILE_PATH"}
    rule = [{"storage_provider": "minio", "path": "small/in"}] if name == "before" else None
    return http.post("/system/services", json=body | {"input": rule})


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(65_536))


def put(gateway: GatewayProcess, body: bytes) -> str:
    s3 = gateway.s3()
    try:
        s3.put_object(Bucket="small", Key="in/file", Body=body)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    else:
        return "stored"
    finally:
        s3.close()
