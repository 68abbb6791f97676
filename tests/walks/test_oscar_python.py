"""The real oscar-python client, unchanged, through a service's whole life."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import requests
from oscar_python.client import Client

from tests.gateway_process import IMAGE, Reached, wait_for

COPY = '#!/bin/sh\ncp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy-$(basename "$INPUT_FILE_PATH")"\necho copied\n'


@pytest.fixture(scope="module")
def client(gateway: Reached) -> Client:
    return Client(
        {
            "cluster_id": "local",
            "endpoint": gateway.endpoints["url"],
            "user": gateway.endpoints["username"],
            "password": gateway.endpoints["password"],
            "ssl": False,
        }
    )


def definition(name: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "script": script, **more}


def test_it_reads_what_the_cluster_is(client: Client) -> None:
    assert client.get_cluster_info().json()["version"].startswith("v4.")
    assert client.get_cluster_config().json()["minio_provider"]["secret_key"]


def test_it_creates_reads_updates_and_removes_a_service(client: Client) -> None:
    client.create_service(definition("py-life", "cat $INPUT_FILE_PATH\n"))
    service = json.loads(client.get_service("py-life").text)
    assert len(service["token"]) == 64
    client.update_service("py-life", definition("py-life", "echo changed\n"))
    assert json.loads(client.get_service("py-life").text)["script"] == "echo changed\n"
    assert "py-life" in [one["name"] for one in client.list_services().json()]
    assert client.remove_service("py-life").status_code == 204
    with pytest.raises(requests.HTTPError):
        client.get_service("py-life")


def test_it_runs_a_service_and_writes_the_answer_to_a_file(client: Client, tmp_path: Path) -> None:
    client.create_service(definition("py-run", COPY))
    picture = tmp_path / "picture.bin"
    picture.write_bytes(bytes(range(256)) * 64)
    client.run_service("py-run", input=str(picture), output=str(tmp_path / "answer.bin"))
    assert (tmp_path / "answer.bin").read_bytes() == picture.read_bytes()
    answer = client.run_service("py-run", input="some text")
    assert base64.b64decode(answer.text) == b"some text"
    client.remove_service("py-run")


def test_it_submits_jobs_and_reads_their_logs(client: Client) -> None:
    client.create_service(definition("py-jobs", "cat $INPUT_FILE_PATH; echo; echo done\n"))
    assert client.run_service("py-jobs", input="work on this", async_call=True).status_code == 201

    def finished() -> list[str]:
        jobs = client.list_jobs("py-jobs").json()["jobs"]
        return [name for name, job in jobs.items() if job["status"] == "Succeeded"]

    (job,) = wait_for(finished)
    assert client.get_job_logs("py-jobs", job).text == "work on this\ndone\n"
    assert client.remove_job("py-jobs", job).status_code == 204
    assert client.list_jobs("py-jobs").json()["jobs"] == {}
    client.remove_service("py-jobs")


def test_its_storage_client_uploads_triggers_and_downloads(client: Client, tmp_path: Path) -> None:
    rules = {
        "input": [{"storage_provider": "minio.default", "path": "py-store/in"}],
        "output": [{"storage_provider": "minio.default", "path": "py-store/out"}],
    }
    client.create_service(definition("py-store", COPY, **rules))
    storage = client.create_storage_client("py-store")
    source = tmp_path / "a name with blanks + ñ.txt"
    source.write_text("through the bucket")
    storage.upload_file("minio.default", str(source), "py-store/in")

    def outputs() -> list[str]:
        listing = storage.list_files_from_path("minio.default", "py-store/out/")
        return [entry["Key"] for entry in listing.get("Contents", [])]

    (key,) = wait_for(outputs)
    assert key == f"out/copy-{source.name}"
    storage.download_file("minio.default", str(tmp_path), f"py-store/{key}")
    assert (tmp_path / f"copy-{source.name}").read_text() == "through the bucket"
    assert len(client.list_jobs("py-store").json()["jobs"]) == 1
    client.remove_service("py-store")


def test_it_keeps_buckets(client: Client) -> None:
    assert client.create_bucket("py-bucket").status_code == 201
    assert "py-bucket" in [bucket["bucket_name"] for bucket in client.list_buckets().json()]
    assert client.delete_bucket("py-bucket").status_code == 204
