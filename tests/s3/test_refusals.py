"""Who is refused, and how: wrong credentials, bounds, the gateway's own bucket, and the form of an error."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.s3.conftest import Served
from tests.s3.signer import error_code, send, signed_headers

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_wrong_secret_is_refused(connect: Callable[..., Any], bucket: str) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        connect(secret_key="wrong").put_object(Bucket=bucket, Key="k", Body=b"x")


def test_an_unknown_key_id_is_refused(connect: Callable[..., Any], bucket: str) -> None:
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        connect(access_key="somebody").list_objects_v2(Bucket=bucket)


def test_nobody_is_refused(http: httpx.Client, served: Served, bucket: str) -> None:
    answer = http.get(f"{served.provider.endpoint}/{bucket}/k")
    assert (answer.status_code, error_code(answer)) == (403, "AccessDenied")


def test_a_refusal_is_s3s_document(http: httpx.Client, served: Served, bucket: str) -> None:
    answer = send(http, served.provider, "GET", f"/{bucket}/no&thing")
    assert answer.status_code == 404
    document = ElementTree.fromstring(answer.text)
    assert {node.tag: node.text for node in document} == {
        "Code": "NoSuchKey",
        "Message": f"there is no object no&thing in bucket {bucket}",
        "Resource": f"/{bucket}/no&thing",
        "RequestId": answer.headers["x-amz-request-id"],
    }


def test_a_refused_head_has_no_body(http: httpx.Client, served: Served, bucket: str) -> None:
    answer = send(http, served.provider, "HEAD", f"/{bucket}/nothing")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_far_off_is_told(http: httpx.Client, served: Served, minutes: int) -> None:
    answer = send(http, served.provider, "GET", "/", now=datetime.now(UTC) + timedelta(minutes=minutes))
    assert (answer.status_code, error_code(answer)) == (403, "RequestTimeTooSkewed")


def test_a_signature_of_another_request_is_refused(http: httpx.Client, served: Served, bucket: str) -> None:
    headers, _, _ = signed_headers(served.provider, "GET", f"/{bucket}/k", payload=EMPTY)
    other = http.get(f"{served.provider.endpoint}/{bucket}/other", headers=headers)
    assert error_code(other) == "SignatureDoesNotMatch"
    added = http.get(f"{served.provider.endpoint}/{bucket}/k", headers=headers | {"x-amz-meta-a": "b"})
    assert error_code(added) == "AccessDenied"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/oscar-gateway", "/oscar-gateway/k"])
def test_the_gateways_own_bucket_is_closed(
    http: httpx.Client, served: Served, method: str, path: str
) -> None:
    assert send(http, served.provider, method, path).status_code == 403


def test_the_gateways_own_bucket_is_no_source(http: httpx.Client, served: Served, bucket: str) -> None:
    headers = {"x-amz-copy-source": "/oscar-gateway/k"}
    assert error_code(send(http, served.provider, "PUT", f"/{bucket}/k", headers=headers)) == "AccessDenied"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/{bucket}?acl=", "NotImplemented"),
        ("POST", "/{bucket}", "NotImplemented"),
        ("PATCH", "/{bucket}/k", "NotImplemented"),
        ("GET", "/{bucket}/k?versionId=1", "NotImplemented"),
        ("GET", "/{bucket}?max-keys=many", "InvalidArgument"),
        ("GET", "/{bucket}?max-keys=-1", "InvalidArgument"),
        ("GET", "/{bucket}?encoding-type=other", "InvalidArgument"),
        ("GET", "/{bucket}?list-type=2&continuation-token=ü", "InvalidArgument"),
        ("PUT", "/{bucket}/k?partNumber=0&uploadId=x", "InvalidArgument"),
        ("PUT", "/{bucket}/k?partNumber=10001&uploadId=x", "InvalidArgument"),
        ("PUT", "/{bucket}/k?partNumber=1&uploadId=x", "NoSuchUpload"),
        ("PUT", "/{bucket}/" + "k" * 1025, "KeyTooLongError"),
        ("PUT", "/{bucket}/" + "k" * 5000, "KeyTooLongError"),
        ("PUT", "/Bad_Name", "InvalidBucketName"),
        ("GET", "/{bucket}?prefix=" + "p" * 20_000, "InvalidURI"),
    ],
)
def test_what_cannot_be_is_refused(
    http: httpx.Client, served: Served, bucket: str, method: str, path: str, code: str
) -> None:
    assert error_code(send(http, served.provider, method, path.format(bucket=bucket))) == code


def test_too_much_metadata_is_refused(http: httpx.Client, served: Served, bucket: str) -> None:
    headers = {f"x-amz-meta-{number}": "v" * 1000 for number in range(9)}
    assert (
        error_code(send(http, served.provider, "PUT", f"/{bucket}/k", headers=headers)) == "MetadataTooLarge"
    )


def test_bytes_that_are_no_text_are_refused(http: httpx.Client, served: Served, bucket: str) -> None:
    answer = http.get(f"{served.provider.endpoint}/{bucket}/%ff")
    assert error_code(answer) == "InvalidURI"


def test_pages_of_the_named_origin_may_call(http: httpx.Client, served: Served, bucket: str) -> None:
    url = f"{served.provider.endpoint}/{bucket}/k"
    asked = {
        "origin": "https://pages.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,x-amz-date,x-amz-content-sha256",
    }
    preflight = http.options(url, headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://pages.example"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "x-amz-date" in preflight.headers["access-control-allow-headers"]
    refused = http.get(url, headers={"origin": "https://pages.example"})
    assert refused.headers["access-control-allow-origin"] == "https://pages.example"
    assert "ETag" in refused.headers["access-control-expose-headers"]
    assert (
        "access-control-allow-origin" not in http.get(url, headers={"origin": "https://evil.example"}).headers
    )
