"""Presigned links, ours and boto3's, used by a plain HTTP client; and what makes one worthless."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.backends.objects.presign import presigned_url
from gateway.domain.mark import METADATA_KEY
from tests.s3.conftest import Served
from tests.s3.signer import error_code

Link = Callable[..., str]


@pytest.fixture
def link(served: Served, bucket: str) -> Link:
    def make(
        method: str,
        key: str,
        *,
        age_s: float = 0,
        expires_s: int = 60,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        now = datetime.now(UTC) - timedelta(seconds=age_s)
        path = f"/{bucket}/{key}"
        return presigned_url(
            served.provider, method, path, expires_s=expires_s, now=now, headers=headers or {}
        )

    return make


def test_ours_and_theirs_carry_an_object(http: httpx.Client, s3: Any, bucket: str, link: Link) -> None:
    key = "in/a b+é.txt"
    assert http.put(link("PUT", key), content=b"ours").status_code == 200
    theirs = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)
    assert http.get(theirs).content == b"ours"
    assert http.get(link("GET", key), headers={"range": "bytes=1-2"}).content == b"ur"


def test_a_streamed_body_needs_no_length(http: httpx.Client, link: Link) -> None:
    def body() -> Any:
        yield b"in "
        yield b"pieces"

    assert http.put(link("PUT", "k"), content=body()).status_code == 200
    assert http.get(link("GET", "k")).content == b"in pieces"


def test_headers_that_were_signed_must_come_along(
    http: httpx.Client, s3: Any, bucket: str, link: Link
) -> None:
    marked = {f"x-amz-meta-{METADATA_KEY}": "uid job place", "content-type": "text/x"}
    url = link("PUT", "k", headers=marked)
    assert error_code(http.put(url, content=b"x")) == "AccessDenied"
    assert (
        error_code(http.put(url, content=b"x", headers=marked | {"content-type": "text/y"}))
        == "SignatureDoesNotMatch"
    )
    assert http.put(url, content=b"x", headers=marked).status_code == 200
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["ContentType"]) == ({METADATA_KEY: "uid job place"}, "text/x")


def test_headers_of_the_store_that_were_not_signed_are_refused(http: httpx.Client, link: Link) -> None:
    refused = http.put(link("PUT", "k"), content=b"x", headers={"x-amz-meta-added": "by somebody"})
    assert error_code(refused) == "AccessDenied"


def test_a_link_does_one_thing_to_one_object(http: httpx.Client, link: Link) -> None:
    http.put(link("PUT", "k"), content=b"x")
    get = link("GET", "k")
    assert error_code(http.put(get, content=b"y")) == "SignatureDoesNotMatch"
    assert error_code(http.get(get.replace("/k?", "/other?"))) == "SignatureDoesNotMatch"
    assert (
        error_code(http.get(get.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))) == "SignatureDoesNotMatch"
    )


def test_a_link_expires_and_does_not_work_before_its_time(http: httpx.Client, link: Link) -> None:
    http.put(link("PUT", "k"), content=b"x")
    assert http.get(link("GET", "k", age_s=50)).status_code == 200
    expired = http.get(link("GET", "k", age_s=62))
    assert (expired.status_code, error_code(expired)) == (403, "AccessDenied")
    assert error_code(http.get(link("GET", "k", age_s=-1000))) == "AccessDenied"


def test_a_link_of_the_old_kind_is_refused(http: httpx.Client, served: Served, bucket: str) -> None:
    old = http.get(f"{served.provider.endpoint}/{bucket}/k?AWSAccessKeyId=a&Signature=b&Expires=1")
    assert (old.status_code, error_code(old)) == (400, "InvalidRequest")
