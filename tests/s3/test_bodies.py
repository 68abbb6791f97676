"""Bodies at the level of bytes: what was signed and summed is verified; what is not it leaves nothing."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest

from tests.s3.conftest import Served
from tests.s3.signer import error_code, send, signed_chunks, signed_headers

UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
CHUNKS = [b"a" * 65536, b"b" * 65536, b"c" * 100]


@pytest.fixture
def put_signed(http: httpx.Client, served: Served, bucket: str) -> Callable[..., httpx.Response]:
    """PUT `k` in signed chunks, after `tamper` has had its way with what goes over the wire."""

    def put(
        tamper: Callable[[bytes], bytes] = bytes,
        *,
        trailers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> httpx.Response:
        announced = {"x-amz-trailer": ",".join(trailers)} if trailers else {}
        size = sum(map(len, CHUNKS)) if length is None else length
        headers, signer, seed = signed_headers(
            served.provider,
            "PUT",
            f"/{bucket}/k",
            payload=SIGNED if trailers is None else SIGNED_TRAILER,
            headers={"content-encoding": "aws-chunked,gzip", "x-amz-decoded-content-length": str(size)}
            | announced,
        )
        body = tamper(b"".join(signed_chunks(signer, seed, CHUNKS, trailers=trailers)))
        return http.put(f"{served.provider.endpoint}/{bucket}/k", content=body, headers=headers)

    return put


def test_signed_chunks_become_the_object(
    put_signed: Callable[..., httpx.Response], s3: Any, bucket: str
) -> None:
    assert put_signed().status_code == 200
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(CHUNKS)
    assert got["ContentEncoding"] == "gzip"


def test_signed_trailers_are_verified(put_signed: Callable[..., httpx.Response]) -> None:
    right = base64.b64encode(hashlib.sha256(b"".join(CHUNKS)).digest()).decode()
    assert put_signed(trailers={"x-amz-checksum-sha256": right}).status_code == 200
    other = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert error_code(put_signed(trailers={"x-amz-checksum-sha256": other})) == "BadDigest"
    swapped = put_signed(
        lambda body: body.replace(right.encode(), other.encode()), trailers={"x-amz-checksum-sha256": right}
    )
    assert error_code(swapped) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda body: body.replace(b"bbbb", b"bXbb", 1), "SignatureDoesNotMatch"),
        (lambda body: body.replace(b"ccc\r\n", b"ccX\r\n"), "SignatureDoesNotMatch"),
        (lambda body: body[: body.rindex(b"0;chunk")], "IncompleteBody"),
        (lambda body: body[:70_000], "IncompleteBody"),
        (lambda body: body.replace(b";chunk-signature=", b";another-thing=", 1), "InvalidRequest"),
        (lambda body: body + b"more", "InvalidRequest"),
        (lambda _: b"", "IncompleteBody"),
    ],
)
def test_a_tampered_body_is_refused_and_leaves_nothing(
    put_signed: Callable[..., httpx.Response],
    served: Served,
    s3: Any,
    bucket: str,
    tamper: Callable[[bytes], bytes],
    code: str,
) -> None:
    before = served.blobs()
    assert error_code(put_signed(tamper)) == code
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert served.blobs() == before


def test_a_body_of_another_length_is_refused(put_signed: Callable[..., httpx.Response]) -> None:
    assert error_code(put_signed(length=7)) == "IncompleteBody"
    assert error_code(put_signed(length=-1)) == "InvalidArgument"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", ""),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\n\r\n", ""),
        (b"3\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", ""),
        (b"5\r\nhellO\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "BadDigest"),
        (b"5\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n", "IncompleteBody"),
        (b"6\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "IncompleteBody"),
        (b"hello", "IncompleteBody"),
        (b"g\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
    ],
)
def test_unsigned_chunks_end_in_their_checksum(
    http: httpx.Client, served: Served, bucket: str, body: bytes, code: str
) -> None:
    headers = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": "5"}
    answer = send(
        http, served.provider, "PUT", f"/{bucket}/k", content=body, payload=UNSIGNED_TRAILER, headers=headers
    )
    assert error_code(answer) == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-md5": base64.b64encode(hashlib.md5(b"hello").digest()).decode()}, ""),
        ({"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}, "BadDigest"),
        ({"content-md5": "no digest"}, "InvalidDigest"),
        ({"x-amz-checksum-crc32": "NhCmhg=="}, ""),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
        ({"x-amz-checksum-sha1": base64.b64encode(hashlib.sha1(b"other").digest()).decode()}, "BadDigest"),
        ({"x-amz-checksum-crc64nvme": "cannot be verified here"}, ""),
        ({"x-amz-checksum-crc32": "?"}, "InvalidRequest"),
    ],
)
def test_declared_digests_are_verified(
    http: httpx.Client, served: Served, bucket: str, headers: dict[str, str], code: str
) -> None:
    answer = send(http, served.provider, "PUT", f"/{bucket}/k", content=b"hello", headers=headers)
    assert error_code(answer) == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (hashlib.sha256(b"other").hexdigest(), "XAmzContentSHA256Mismatch"),
        ("STREAMING-SOMETHING-NEW", "InvalidRequest"),
        ("UNSIGNED-PAYLOAD", ""),
    ],
)
def test_the_payload_is_what_was_signed(
    http: httpx.Client, served: Served, bucket: str, payload: str, code: str
) -> None:
    answer = send(http, served.provider, "PUT", f"/{bucket}/k", content=b"hello", payload=payload)
    assert error_code(answer) == code


def test_a_client_that_goes_away_leaves_nothing(
    http: httpx.Client, served: Served, s3: Any, bucket: str
) -> None:
    def body() -> Any:
        yield bytes(2 << 20)
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        send(
            http,
            served.provider,
            "PUT",
            f"/{bucket}/k",
            content=body(),
            payload="UNSIGNED-PAYLOAD",
            headers={"content-length": str(4 << 20)},
        )
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<Delete>",
        b"<Other/>",
        b"<Delete/>",
        b'<!DOCTYPE Delete [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>',
        b"<Delete>" + b"<a>" * 40 + b"</a>" * 40 + b"</Delete>",
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
        b"<Delete>" + b" " * (2 << 20) + b"</Delete>",
    ],
    ids=["empty", "cut", "other", "nothing", "entities", "deep", "many", "long"],
)
def test_a_bad_document_is_refused(http: httpx.Client, served: Served, bucket: str, document: bytes) -> None:
    answer = send(http, served.provider, "POST", f"/{bucket}?delete=", content=document)
    assert (answer.status_code, error_code(answer)) == (400, "MalformedXML")


def test_keys_that_cannot_be_are_told_one_by_one(http: httpx.Client, served: Served, bucket: str) -> None:
    keys: Sequence[str] = ["fine", "k" * 1025]
    listed = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    answer = send(
        http, served.provider, "POST", f"/{bucket}?delete=", content=f"<Delete>{listed}</Delete>".encode()
    )
    assert answer.status_code == 200
    assert "<Deleted><Key>fine</Key></Deleted>" in answer.text
    assert "<Error><Key>kkk" in answer.text
