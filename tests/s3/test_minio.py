"""minio-py, unchanged, against the face: it signs what it sends differently from boto3."""

import io
import random
import secrets
from datetime import timedelta

import httpx
import pytest
from minio import Minio
from minio.commonconfig import CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from tests.s3.conftest import Served


@pytest.fixture
def client(served: Served) -> Minio:
    return Minio(
        endpoint=served.host,
        access_key=served.provider.access_key,
        secret_key=served.provider.secret_key,
        secure=False,
    )


@pytest.fixture
def bucket(client: Minio) -> str:
    name = f"minio-{secrets.token_hex(6)}"
    client.make_bucket(bucket_name=name)
    return name


def test_an_object_goes_up_and_comes_back(client: Minio, bucket: str) -> None:
    key = "in/a b+c ñ.txt"
    put = client.put_object(
        bucket_name=bucket, object_name=key, data=io.BytesIO(b"hello"), length=5, metadata={"Owner": "me"}
    )
    assert _content(client, bucket, key) == b"hello"
    stat = client.stat_object(bucket_name=bucket, object_name=key)
    assert (stat.etag, stat.size) == (put.etag, 5)
    assert stat.metadata is not None
    assert stat.metadata["x-amz-meta-owner"] == "me"
    assert _content(client, bucket, key, offset=1, length=3) == b"ell"


def test_a_large_stream_goes_up_in_parts(client: Minio, bucket: str) -> None:
    content = random.Random(2).randbytes(20 << 20)
    client.put_object(
        bucket_name=bucket, object_name="big", data=io.BytesIO(content), length=-1, part_size=6 << 20
    )
    assert _content(client, bucket, "big") == content


def test_listings_roll_up_folders(client: Minio, bucket: str) -> None:
    for key in ("a/1", "a/2", "b", "c d/x+y"):
        client.put_object(bucket_name=bucket, object_name=key, data=io.BytesIO(b"x"), length=1)
    flat = client.list_objects(bucket_name=bucket)
    assert [entry.object_name for entry in flat] == ["b", "a/", "c d/"]
    deep = client.list_objects(bucket_name=bucket, recursive=True, start_after="a/1")
    assert [entry.object_name for entry in deep] == ["a/2", "b", "c d/x+y"]
    old = client.list_objects(bucket_name=bucket, prefix="c d/", use_api_v1=True)
    assert [entry.object_name for entry in old] == ["c d/x+y"]


def test_copy_tags_and_deletions_work(client: Minio, bucket: str) -> None:
    client.put_object(bucket_name=bucket, object_name="a", data=io.BytesIO(b"x"), length=1)
    source = CopySource(bucket_name=bucket, object_name="a")
    client.copy_object(bucket_name=bucket, object_name="b", source=source)
    tags = Tags.new_bucket_tags()
    tags["owner"] = "ada"
    client.set_bucket_tags(bucket_name=bucket, tags=tags)
    assert client.get_bucket_tags(bucket_name=bucket) == {"owner": "ada"}
    errors = client.remove_objects(
        bucket_name=bucket, delete_object_list=[DeleteObject("a"), DeleteObject("b")]
    )
    assert list(errors) == []
    client.remove_bucket(bucket_name=bucket)
    assert not client.bucket_exists(bucket_name=bucket)


def test_presigned_links_work_without_the_client(http: httpx.Client, client: Minio, bucket: str) -> None:
    expires = timedelta(minutes=5)
    up = client.presigned_put_object(bucket_name=bucket, object_name="k é", expires=expires)
    assert http.put(up, content=b"linked").status_code == 200
    down = client.presigned_get_object(bucket_name=bucket, object_name="k é", expires=expires)
    assert http.get(down).content == b"linked"


def test_a_refusal_is_the_clients_own_error(client: Minio, bucket: str) -> None:
    with pytest.raises(S3Error, match="NoSuchKey"):
        client.get_object(bucket_name=bucket, object_name="nothing")
    with pytest.raises(S3Error, match="AccessDenied"):
        client.put_object(bucket_name="oscar-gateway", object_name="k", data=io.BytesIO(b""), length=0)


def _content(client: Minio, bucket: str, key: str, *, offset: int = 0, length: int = 0) -> bytes:
    answer = client.get_object(bucket_name=bucket, object_name=key, offset=offset, length=length)
    try:
        return bytes(answer.read())
    finally:
        answer.close()
        answer.release_conn()
