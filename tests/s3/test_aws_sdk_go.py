"""aws-sdk-go as oscar-cli uses it, against the face: a program of ours (`aws_sdk_go/`), built once, runs each
operation."""

import subprocess
from pathlib import Path

import pytest

from tests.go_program import build_program
from tests.s3.conftest import Served

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

RUN_S = 90


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(Path(__file__).parent / "aws_sdk_go", tmp_path_factory.mktemp("program"))


@pytest.mark.parametrize(
    "operation",
    ["put", "multipart", "odd-keys", "list", "list-v2", "presign", "copy", "delete", "errors", "bucket"],
)
def test_aws_sdk_go_is_answered_as_it_expects(
    program: Path, served: Served, bucket: str, operation: str
) -> None:
    environment = {
        "ENDPOINT": served.provider.endpoint,
        "ACCESS_KEY": served.provider.access_key,
        "SECRET_KEY": served.provider.secret_key,
        "BUCKET": bucket,
    }
    command = [str(program), operation]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert ran.returncode == 0, ran.stderr
