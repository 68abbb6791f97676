"""The documentation's own shell lines, run as they stand but for the placeholders."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gateway_process import IMAGE, Reached

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="the lines need curl")

CALL = """\
base64 input.png | curl -X POST -H "Authorization: Bearer <TOKEN>" \\
 -d @- <CLUSTER_ENDPOINT>/run/<OSCAR_SERVICE> | base64 -d > result.png
"""
JOB = """\
curl -i -X POST -H "Authorization: Bearer <TOKEN>" --data '{"message":"Hello there"}' \\
 <CLUSTER_ENDPOINT>/job/<OSCAR_SERVICE>
"""


def run(line: str, gateway: Reached, service: str, folder: Path) -> str:
    with gateway.http() as http:
        token = http.get(f"/system/services/{service}").json()["token"]
    line = (
        line.replace("<TOKEN>", token)
        .replace("<CLUSTER_ENDPOINT>", gateway.endpoints["url"])
        .replace("<OSCAR_SERVICE>", service)
    )
    done = subprocess.run(["bash", "-c", line], cwd=folder, check=True, capture_output=True, timeout=20)
    return done.stdout.decode()


def test_a_picture_goes_in_and_comes_out_changed(gateway: Reached, tmp_path: Path) -> None:
    picture = bytes(range(256)) * 4000
    (tmp_path / "input.png").write_bytes(picture)
    script = 'tr "[a-z]" "[A-Z]" < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/result.png"'
    with gateway.http() as http:
        http.post("/system/services", json={"name": "shell-call", "image": IMAGE, "script": script})
    run(CALL, gateway, "shell-call", tmp_path)
    assert (tmp_path / "result.png").read_bytes() == picture.upper()


def test_a_job_is_submitted(gateway: Reached, tmp_path: Path) -> None:
    with gateway.http() as http:
        http.post("/system/services", json={"name": "shell-job", "image": IMAGE, "script": "sleep 1"})
    answer = run(JOB, gateway, "shell-job", tmp_path)
    assert answer.startswith("HTTP/1.1 201")
