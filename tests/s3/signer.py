"""A signing HTTP client at the level of bytes: for requests that no SDK would send."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from gateway.backends.objects.protocol import Provider
from gateway.backends.objects.sigv4 import ALGORITHM, Signing, request_digest, signed_time, signing


def signed_headers(
    provider: Provider,
    method: str,
    path: str,
    *,
    payload: str,
    headers: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> tuple[dict[str, str], Signing, str]:
    """Headers with an Authorization for this request,
    and the signing and signature that a chain begins with."""
    signer = signing(provider.secret_key, region=provider.region, time=signed_time(now or datetime.now(UTC)))
    signed = {
        "host": urlsplit(provider.endpoint).netloc,
        "x-amz-content-sha256": payload,
        "x-amz-date": signer.time,
        **(headers or {}),
    }
    pathname, _, query = path.partition("?")
    pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)]
    signature = signer.sign(ALGORITHM, request_digest(method, pathname, pairs, signed.items(), payload))
    names = ";".join(sorted(signed))
    credential = f"{provider.access_key}/{signer.scope}"
    authorization = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": authorization}, signer, signature


def send(
    http: httpx.Client,
    provider: Provider,
    method: str,
    path: str,
    *,
    content: bytes | Iterable[bytes] = b"",
    payload: str | None = None,
    headers: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> httpx.Response:
    """`path` may have a query, unencoded; `payload` is the digest of the content unless told."""
    if payload is None:
        assert isinstance(content, bytes)
        payload = hashlib.sha256(content).hexdigest()
    signed, _, _ = signed_headers(provider, method, path, payload=payload, headers=headers, now=now)
    return http.request(method, provider.endpoint + path, content=content, headers=signed)


def signed_chunks(
    signer: Signing, seed: str, chunks: Iterable[bytes], *, trailers: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """A body in the aws-chunked encoding: every chunk signed, also the trailers if there are any."""
    last = seed
    for chunk in [*chunks, b""]:
        digests = hashlib.sha256().hexdigest(), hashlib.sha256(chunk).hexdigest()
        last = signer.sign(f"{ALGORITHM}-PAYLOAD", last, *digests)
        yield f"{len(chunk):x};chunk-signature={last}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailers is not None:
        canonical = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        last = signer.sign(f"{ALGORITHM}-TRAILER", last, hashlib.sha256(canonical.encode()).hexdigest())
        lines = {**trailers, "x-amz-trailer-signature": last}
        yield "".join(f"{name}:{value}\r\n" for name, value in lines.items()).encode()
    yield b"\r\n"


def error_code(answer: httpx.Response) -> str:
    """S3's code in the document of a refusal."""
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]
