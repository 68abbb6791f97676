"""What strangers send, parsed: right on the specification's own examples, and never another error than
ours."""

import contextlib
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.backends.objects.embedded.face.authentication import parse_authorization
from gateway.backends.objects.embedded.face.chunked import Chain, ChunkDecoder
from gateway.backends.objects.embedded.face.errors import STATUSES, S3Error
from gateway.backends.objects.embedded.face.ranges import parse_range
from gateway.backends.objects.markup import MarkupError, Node, document, element, parse_markup
from gateway.backends.objects.sigv4 import ALGORITHM, request_digest, signing

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TIME = "20130524T000000Z"
SIGNER = signing(SECRET, region="us-east-1", time=TIME)
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"


def test_aws_own_example_of_a_get_is_signed_as_there() -> None:
    digest = request_digest(
        "GET",
        "/test.txt",
        [],
        [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", hashlib.sha256().hexdigest()),
            ("x-amz-date", TIME),
        ],
        hashlib.sha256().hexdigest(),
    )
    assert (
        SIGNER.sign(ALGORITHM, digest) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_bytes_of_utf8_in_a_header_are_not_taken_for_blanks() -> None:
    """`à` ends in a byte that is white space in Latin-1."""
    canonical = b"PUT\n/k\n\nx-amz-meta-a:voil\xc3\xa0 la\n\nx-amz-meta-a\nUNSIGNED-PAYLOAD"
    headers = [("x-amz-meta-a", " voil\xc3\xa0   la ")]
    assert (
        request_digest("PUT", "/k", [], headers, "UNSIGNED-PAYLOAD") == hashlib.sha256(canonical).hexdigest()
    )


def test_aws_own_example_of_signed_chunks_is_verified() -> None:
    signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]
    body = b"".join(
        f"{size:x};chunk-signature={signature}\r\n".encode() + b"a" * size + b"\r\n"
        for size, signature in zip((65536, 1024, 0), signatures, strict=True)
    )
    decoder = ChunkDecoder(chain=Chain(SIGNER, SEED), trailed=False)
    assert b"".join(decoder.feed(body)) == b"a" * 66560
    decoder.finish()


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_chunks_may_be_cut_anywhere(step: int) -> None:
    body = b"5\r\nhello\r\nb\r\n wide world\r\n0\r\nx-amz-checksum-crc32: abc=\r\n\r\n"
    decoder = ChunkDecoder(chain=None, trailed=True)
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    assert b"".join(out for piece in pieces for out in decoder.feed(piece)) == b"hello wide world"
    decoder.finish()
    assert decoder.trailers == {"x-amz-checksum-crc32": "abc="}


@given(
    st.text()
    | st.from_regex(
        r"AWS4-HMAC-SHA256 (Credential=|SignedHeaders=|Signature=|[a-z0-9/;,= ])*", fullmatch=True
    )
)
@example(f"{ALGORITHM} Credential=/////s3/aws4_request,SignedHeaders=host,Signature={'0' * 64}")
def test_any_authorization_is_a_claim_or_our_error(text: str) -> None:
    try:
        claim = parse_authorization(text)
    except S3Error as error:
        assert error.code in STATUSES
    else:
        assert "host" in claim.signed_headers


CHUNKED = st.lists(
    st.sampled_from(
        [b"0", b"5", b"fffffffffff", b"\r\n", b"\n", b";chunk-signature=", b"a" * 64, b"x:y", b"hello"]
    )
)


@given(st.binary() | CHUNKED.map(b"".join), st.booleans(), st.booleans(), st.integers(1, 9))
def test_any_chunked_body_is_decoded_or_our_error(
    body: bytes, signed: bool, trailed: bool, step: int
) -> None:
    decoder = ChunkDecoder(chain=Chain(SIGNER, SEED) if signed else None, trailed=trailed)
    given_back = 0
    try:
        for start in range(0, len(body), step):
            given_back += sum(map(len, decoder.feed(body[start : start + step])))
        decoder.finish()
    except S3Error as error:
        assert error.code in STATUSES
    assert given_back <= len(body)


DOCUMENTS = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<b/>", "&amp;", "&x;", "<!DOCTYPE a>", "<?p?>", "<![CDATA[", "]]>", "t", "<!--"]
    )
)


@given(st.binary() | DOCUMENTS.map(lambda parts: "".join(parts).encode()))
@example(b'<?xml version="1.0" encoding="no-such"?><a/>')
@example("<a/>".encode("utf-16"))
def test_any_document_is_a_tree_or_our_error(raw: bytes) -> None:
    with contextlib.suppress(MarkupError):
        assert parse_markup(raw).name


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Cs"])))
def test_what_is_written_is_read_again(text: str) -> None:
    root = parse_markup(document("Root", element("Key", text), element("Key", "second")))
    assert [node.text for node in root.all("Key")] == [text, "second"]


def test_control_characters_are_written_as_references() -> None:
    assert element("Key", "a\x01<\r>") == "<Key>a&#1;&#60;&#13;&#62;</Key>"


@given(st.text() | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True), st.integers(0, 100))
def test_any_range_is_inside_the_object_or_our_error(text: str, size: int) -> None:
    try:
        wanted = parse_range(text, size_bytes=size)
    except S3Error as error:
        assert error.code == "InvalidRange"
    else:
        assert wanted is None or 0 <= wanted[0] < wanted[1] <= size


def test_a_tree_keeps_its_order() -> None:
    def names(node: Node) -> Iterator[str]:
        yield node.name
        for child in node.children:
            yield from names(child)

    assert list(names(parse_markup(b'<a xmlns="urn:x"><b/><c><d/></c></a>'))) == ["a", "b", "c", "d"]
