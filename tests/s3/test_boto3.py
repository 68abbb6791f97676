"""boto3, unchanged, against the face: its checksums, trailers and parts are what most clients send."""

import hashlib
import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

ODD_KEYS = [
    "with blank",
    "plus+plus",
    "é/ñ/日本",
    "a//b",
    "../up",
    "100%25 & <more>?#",
    "tab\tand\x01control",
    "~-._*'()",
]


def test_an_object_comes_back_with_its_description(s3: Any, bucket: str) -> None:
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"hello",
        ContentType="text/plain",
        CacheControl="no-store",
        Metadata={"colour": "blue", "Shape": "round"},
    )
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["CacheControl"]) == ("text/plain", "no-store")
    assert got["Metadata"] == {"colour": "blue", "shape": "round"}
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentLength"] == 5
    assert head["LastModified"] == got["LastModified"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_kept_apart_and_listed(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_declared_checksums_are_taken(s3: Any, bucket: str, algorithm: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(b"x" * 100_000), ChecksumAlgorithm=algorithm)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 100_000


def test_a_large_file_goes_up_in_parts_and_down_in_ranges(s3: Any, bucket: str) -> None:
    content = random.Random(1).randbytes(20 << 20)
    s3.upload_fileobj(
        io.BytesIO(content),
        bucket,
        "big",
        Config=TransferConfig(multipart_chunksize=5 << 20, max_concurrency=4),
    )
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-4"')
    down = io.BytesIO()
    s3.download_fileobj(
        bucket, "big", down, Config=TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=3 << 20)
    )
    assert down.getvalue() == content
    across_parts = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={(5 << 20) - 3}-{(10 << 20) + 2}")
    assert across_parts["Body"].read() == content[(5 << 20) - 3 : (10 << 20) + 3]


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=5-100", 206, b"56789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_a_range_is_served(s3: Any, bucket: str, asked: str, status: int, content: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="digits", Range=asked)
    assert (got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()) == (status, content)


def test_a_range_behind_the_end_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    assert _code(lambda: s3.get_object(Bucket=bucket, Key="digits", Range="bytes=10-")) == "InvalidRange"


def test_conditions_are_kept(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    when = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    same = {"Bucket": bucket, "Key": "k"}
    assert s3.get_object(**same, IfMatch=etag)["Body"].read() == b"1"
    assert _code(lambda: s3.get_object(**same, IfMatch='"other"')) == "PreconditionFailed"
    assert _code(lambda: s3.get_object(**same, IfNoneMatch=etag)) == "304"
    assert _code(lambda: s3.get_object(**same, IfModifiedSince=when)) == "304"
    assert s3.get_object(**same, IfUnmodifiedSince=when)["Body"].read() == b"1"
    assert _code(lambda: s3.put_object(**same, Body=b"2", IfNoneMatch="*")) == "PreconditionFailed"
    assert _code(lambda: s3.put_object(**same, Body=b"2", IfMatch='"other"')) == "PreconditionFailed"
    assert s3.get_object(**same)["Body"].read() == b"1"
    s3.put_object(**same, Body=b"2", IfMatch=etag)
    assert _code(lambda: s3.delete_object(**same, IfMatch=etag)) == "PreconditionFailed"


def test_a_get_answers_the_headers_it_asks_for(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="image/png",
        ResponseContentDisposition='attachment; filename="a b.png"',
    )
    assert (got["ContentType"], got["ContentDisposition"]) == ("image/png", 'attachment; filename="a b.png"')


def test_a_copy_keeps_or_replaces_the_metadata(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from + é", Body=b"abc", Metadata={"a": "1"})
    source = {"Bucket": bucket, "Key": "from + é"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(
        Bucket=bucket, Key="replaced", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}
    )
    s3.delete_object(**source)
    kept, replaced = (s3.get_object(Bucket=bucket, Key=key) for key in ("kept", "replaced"))
    assert (kept["Body"].read(), kept["Metadata"]) == (b"abc", {"a": "1"})
    assert (replaced["Body"].read(), replaced["Metadata"]) == (b"abc", {"b": "2"})
    onto_itself = {"Bucket": bucket, "Key": "kept"}
    assert _code(lambda: s3.copy_object(**onto_itself, CopySource=onto_itself)) == "InvalidRequest"


def test_a_part_can_be_a_stretch_of_another_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    named = {"Bucket": bucket, "Key": "made"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part_copy(
        **named, UploadId=upload, PartNumber=1, CopySource=f"{bucket}/source", CopySourceRange="bytes=2-5"
    )
    chosen = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": chosen})
    assert s3.get_object(**named)["Body"].read() == b"2345"


def test_many_are_deleted_at_once(s3: Any, bucket: str) -> None:
    for key in ("a", "b é", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    wanted = {"Objects": [{"Key": "a"}, {"Key": "b é"}, {"Key": "never"}]}
    told = s3.delete_objects(Bucket=bucket, Delete=wanted)
    assert [each["Key"] for each in told["Deleted"]] == ["a", "b é", "never"]
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]
    assert "Deleted" not in s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True}
    )


def test_a_bucket_is_tagged(s3: Any, bucket: str) -> None:
    assert _code(lambda: s3.get_bucket_tagging(Bucket=bucket)) == "NoSuchTagSet"
    tags = [{"Key": "owner", "Value": "a <b> & c"}, {"Key": "visibility", "Value": "private"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert _code(lambda: s3.get_bucket_tagging(Bucket=bucket)) == "NoSuchTagSet"


def test_a_bucket_goes_only_when_it_is_empty(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert _code(lambda: s3.delete_bucket(Bucket=bucket)) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert _code(lambda: s3.head_bucket(Bucket=bucket)) == "404"
    assert _code(lambda: s3.list_objects_v2(Bucket=bucket)) == "NoSuchBucket"
    assert bucket not in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_a_bucket_tells_of_itself(s3: Any, bucket: str) -> None:
    assert bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert _code(lambda: s3.create_bucket(Bucket=bucket)) == "BucketAlreadyOwnedByYou"


def test_an_upload_is_listed_until_it_is_aborted(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "slow é"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    for number in (1, 2, 3):
        s3.upload_part(**named, UploadId=upload, PartNumber=number, Body=b"x" * number)
    listed = s3.list_multipart_uploads(Bucket=bucket, Prefix="slow")["Uploads"]
    assert [(each["Key"], each["UploadId"]) for each in listed] == [("slow é", upload)]
    page = s3.list_parts(**named, UploadId=upload, MaxParts=2)
    assert [part["Size"] for part in page["Parts"]] == [1, 2]
    rest = s3.list_parts(**named, UploadId=upload, PartNumberMarker=page["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [3]
    s3.abort_multipart_upload(**named, UploadId=upload)
    assert _code(lambda: s3.list_parts(**named, UploadId=upload)) == "NoSuchUpload"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_that_do_not_fit_are_refused(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    etags = [
        s3.upload_part(**named, UploadId=upload, PartNumber=number, Body=b"small")["ETag"]
        for number in (1, 2)
    ]

    def complete(*chosen: tuple[int, str]) -> str:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in chosen]
        return _code(
            lambda: s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": parts})
        )

    assert complete((1, etags[0]), (2, etags[1])) == "EntityTooSmall"
    assert complete((2, etags[1]), (1, etags[0])) == "InvalidPartOrder"
    assert complete((1, '"0"')) == "InvalidPart"
    assert complete((3, etags[0])) == "InvalidPart"
    assert complete((2, etags[1])) == ""
    assert s3.get_object(**named)["Body"].read() == b"small"


def test_what_the_store_does_not_do_is_said(s3: Any, bucket: str) -> None:
    assert _code(lambda: s3.get_bucket_policy(Bucket=bucket)) == "NotImplemented"
    assert (
        _code(lambda: s3.put_object(Bucket=bucket, Key="k", ServerSideEncryption="AES256"))
        == "NotImplemented"
    )


def test_an_object_over_the_limit_is_refused(connect: Callable[..., Any], bucket: str) -> None:
    assert (
        _code(lambda: connect().put_object(Bucket=bucket, Key="k", Body=bytes((21 << 20) + 1)))
        == "EntityTooLarge"
    )


def _code(call: Callable[[], object]) -> str:
    """S3's error code of a call that is refused, empty if it is not."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
