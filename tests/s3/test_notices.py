"""Notices: what the listener is told of an upload, and that the upload stands whatever the listener does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from gateway.backends.objects.embedded import notices
from gateway.backends.objects.embedded.store import open_embedded
from gateway.backends.objects.protocol import Provider
from gateway.domain.event import StoredObject
from gateway.domain.mark import METADATA_KEY
from tests.s3.conftest import Served


def test_an_upload_is_told_in_the_form_of_minio(served: Served, s3: Any, bucket: str) -> None:
    key = "in/a b+c ñ.txt"
    s3.put_object(
        Bucket=bucket, Key=key, Body=b"hello", ContentType="text/plain", Metadata={METADATA_KEY: "m"}
    )
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    stored, notice = served.notices[-1]
    assert (stored.bucket, stored.key, stored.size_bytes, stored.mark) == (bucket, key, 5, "m")
    assert (stored.etag, stored.modified_at) == (listed["ETag"].strip('"'), listed["LastModified"])
    assert (notice["EventName"], notice["Key"]) == ("s3:ObjectCreated:Put", f"{bucket}/{key}")
    (record,) = notice["Records"]
    assert (record["eventSource"], record["eventVersion"]) == ("minio:s3", "2.0")
    assert record["eventName"] == "s3:ObjectCreated:Put"
    assert record["requestParameters"]["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in record["source"]["userAgent"]
    told = record["s3"]["object"]
    assert told["key"] == "in%2Fa+b%2Bc+%C3%B1.txt"
    assert unquote_plus(told["key"]) == key
    assert (told["size"], told["eTag"], told["contentType"]) == (5, stored.etag, "text/plain")
    assert told["userMetadata"]["X-Amz-Meta-Oscar-Gateway-Mark"] == "m"
    assert record["s3"]["bucket"]["name"] == bucket
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}"
    told_ms = int(told["sequencer"], 16) // 1_000_000
    assert datetime.fromtimestamp(told_ms / 1000, UTC) == stored.modified_at


def test_copies_and_completed_uploads_are_told_by_their_names(served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    named = {"Bucket": bucket, "Key": "c"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"xyz")
    chosen = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=chosen)
    told = [(notice["EventName"], stored.key, stored.size_bytes) for stored, notice in served.notices[-3:]]
    assert told == [
        ("s3:ObjectCreated:Put", "a", 1),
        ("s3:ObjectCreated:Copy", "b", 1),
        ("s3:ObjectCreated:CompleteMultipartUpload", "c", 3),
    ]


def test_tagging_and_deleting_tell_nothing(served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    before = len(served.notices)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object(Bucket=bucket, Key="a")
    assert len(served.notices) == before


def test_an_upload_stands_when_the_listener_breaks(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="refused-notice", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="refused-notice")["Body"].read() == b"x"


async def test_an_upload_stands_when_the_listener_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: StoredObject, __: bytes) -> None:
        await asyncio.Event().wait()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    monkeypatch.setattr(notices, "LISTENER_LIMIT_S", 0.05)
    provider = Provider("http://127.0.0.1:9000", False, "us-east-1", "access", "secret")
    async with open_embedded(tmp_path, provider, object_limit=10, listener=hang) as store:
        await store.make_bucket("things", tags={})
        stored = await store.put("things", "k", body())
        assert await store.stat("things", "k") == stored
