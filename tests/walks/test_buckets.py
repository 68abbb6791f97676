"""Files put into buckets by a real S3 client: one job for each service that takes them, outputs where the
rules say."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway_process import IMAGE, Reached, wait_for

COPY = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"\n'
FINAL = "succeeded,failed,dead,cancelled"


@pytest.fixture(scope="module")
def s3(gateway: Reached) -> Iterator[Any]:
    client = gateway.s3()
    yield client
    client.close()


def deploy(gateway: Reached, name: str, script: str, **rules: Any) -> None:
    rules = {
        kind: [{"storage_provider": "minio.default", **rule} for rule in listed]
        for kind, listed in rules.items()
    }
    with gateway.http() as http:
        answer = http.post("/system/services", json={"name": name, "image": IMAGE, "script": script, **rules})
        assert answer.status_code == 201, answer.text


def jobs(gateway: Reached, service: str, state: str = "") -> list[dict[str, Any]]:
    with gateway.http() as http:
        found = http.get("/v1/jobs", params={"service": service, "state": state, "limit": 100}).json()["jobs"]
        assert isinstance(found, list)
        return found


def settled(gateway: Reached, service: str, count: int) -> list[dict[str, Any]]:
    """Its jobs, once that many have ended; none may have failed."""
    wait_for(lambda: len(jobs(gateway, service, FINAL)) >= count)
    ended = jobs(gateway, service)
    assert [job["state"] for job in ended] == ["succeeded"] * count, ended
    return ended


def keys(s3: Any, bucket: str, prefix: str = "") -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def test_a_file_is_taken_by_every_service_whose_rules_match(gateway: Reached, s3: Any) -> None:
    deploy(gateway, "takes-all", COPY, input=[{"path": "shared/in"}], output=[{"path": "shared/all"}])
    deploy(
        gateway,
        "takes-png",
        COPY,
        input=[{"path": "shared/in", "suffix": ["png"]}],
        output=[{"path": "shared/png"}],
    )
    deploy(
        gateway,
        "takes-a",
        COPY,
        input=[{"path": "shared/in", "prefix": ["a"]}],
        output=[{"path": "shared/a"}],
    )
    for name in ("a.png", "b.png", "c.txt"):
        s3.put_object(Bucket="shared", Key=f"in/{name}", Body=name.encode())
    settled(gateway, "takes-all", 3)
    settled(gateway, "takes-png", 2)
    settled(gateway, "takes-a", 1)
    assert keys(s3, "shared", "all/") == ["all/a.png", "all/b.png", "all/c.txt"]
    assert keys(s3, "shared", "png/") == ["png/a.png", "png/b.png"]
    assert keys(s3, "shared", "a/") == ["a/a.png"]


@pytest.mark.parametrize(
    "name", ["with blanks.txt", "one+one.txt", "naïve ñandú 漢字.txt", "per%20cent&=?.txt"]
)
def test_names_of_any_kind_reach_the_script_and_come_back(gateway: Reached, s3: Any, name: str) -> None:
    service = f"names-{zlib.crc32(name.encode())}"
    script = 'printf %s "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"\n'
    deploy(gateway, service, script, input=[{"path": f"{service}/in"}], output=[{"path": f"{service}/out"}])
    s3.put_object(Bucket=service, Key=f"in/{name}", Body=b"x")
    settled(gateway, service, 1)
    assert keys(s3, service, "out/") == [f"out/{name}"]
    assert s3.get_object(Bucket=service, Key=f"out/{name}")["Body"].read().decode() == f"in/{name}"


def test_outputs_go_to_every_rule_that_accepts_them(gateway: Reached, s3: Any) -> None:
    script = 'cd "$TMP_OUTPUT_DIR"; mkdir sub; echo 1 > one.txt; echo 2 > two.png; echo 3 > sub/three.txt\n'
    output = [
        {"path": "sorted/texts", "suffix": ["txt"]},
        {"path": "sorted/ones", "prefix": ["one"]},
        {"path": "sorted/everything"},
    ]
    deploy(gateway, "sorter", script, input=[{"path": "sorter/in"}], output=output)
    s3.put_object(Bucket="sorter", Key="in/go", Body=b"")
    settled(gateway, "sorter", 1)
    assert keys(s3, "sorted") == [
        "everything/one.txt",
        "everything/sub/three.txt",
        "everything/two.png",
        "ones/one.txt",
        "texts/one.txt",
        "texts/sub/three.txt",
    ]


def test_chained_buckets_form_a_workflow(gateway: Reached, s3: Any) -> None:
    upper = 'tr a-z A-Z < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/upper.txt"\n'
    deploy(gateway, "first", upper, input=[{"path": "chain/a"}], output=[{"path": "chain/b"}])
    reverse = 'rev < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/reversed.txt"\n'
    deploy(gateway, "second", reverse, input=[{"path": "chain/b"}], output=[{"path": "chain/c"}])
    s3.put_object(Bucket="chain", Key="a/word", Body=b"word\n")
    settled(gateway, "first", 1)
    settled(gateway, "second", 1)
    assert s3.get_object(Bucket="chain", Key="c/reversed.txt")["Body"].read() == b"DROW\n"


def test_what_a_service_writes_never_triggers_it_again(gateway: Reached, s3: Any) -> None:
    deploy(gateway, "circle", COPY, input=[{"path": "circle/same"}], output=[{"path": "circle/same/results"}])
    deploy(gateway, "onlooker", COPY, input=[{"path": "circle/same/results"}])
    s3.put_object(Bucket="circle", Key="same/file", Body=b"x")
    settled(gateway, "circle", 1)
    settled(gateway, "onlooker", 1)
    s3.copy_object(
        Bucket="circle", Key="same/again", CopySource={"Bucket": "circle", "Key": "same/results/file"}
    )
    settled(gateway, "circle", 2)


def test_a_large_upload_in_parts_starts_one_job(gateway: Reached, s3: Any) -> None:
    deploy(gateway, "large", 'wc -c < "$INPUT_FILE_PATH"\n', input=[{"path": "large/in"}])
    upload = s3.create_multipart_upload(Bucket="large", Key="in/large.bin")["UploadId"]
    parts = []
    for number, size in ((1, 5 << 20), (2, 5 << 20), (3, 17)):
        part = s3.upload_part(
            Bucket="large", Key="in/large.bin", UploadId=upload, PartNumber=number, Body=b"p" * size
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket="large", Key="in/large.bin", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    (job,) = settled(gateway, "large", 1)
    with gateway.http() as http:
        assert http.get(f"/v1/jobs/{job['id']}/result").text.strip() == str((10 << 20) + 17)


def notification(*records: dict[str, Any]) -> bytes:
    first = records[0]["s3"]
    wrapped = {
        "EventName": "s3:ObjectCreated:Put",
        "Key": f"{first['bucket']['name']}/{first['object']['key']}",
        "Records": list(records),
    }
    return json.dumps(wrapped).encode()


def record(bucket: str, key: str, etag: str, sequencer: str) -> dict[str, Any]:
    return {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": "2026-11-24T03:00:00.123Z",
        "eventName": "s3:ObjectCreated:Put",
        "s3": {
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 1, "eTag": etag, "sequencer": sequencer},
        },
    }


def test_the_same_notification_twice_makes_one_job_and_each_record_its_own(gateway: Reached, s3: Any) -> None:
    deploy(gateway, "noticed", COPY)
    s3.create_bucket(Bucket="elsewhere")
    for key in ("one file", "two"):
        s3.put_object(Bucket="elsewhere", Key=key, Body=b"x")
    body = notification(
        record("elsewhere", "one+file", "9dd4e461268c8034f5c8564e155c67a6", "17A2B3C4D5E6F708"),
        record("elsewhere", "two", "9dd4e461268c8034f5c8564e155c67a6", "17A2B3C4D5E6F709"),
    )
    with gateway.http() as http:
        ids = [http.post("/job/noticed", content=body).headers["X-OSCAR-Job-ID"] for _ in range(3)]
    assert len(set(ids)) == 1
    settled(gateway, "noticed", 2)
