"""Bodies: the payload of a request, decoded and verified while it streams.

Whoever reads one to its end without an error has what the client has signed and summed; before that nothing
is proven, and nothing may be kept.
"""

import asyncio
import re
from collections.abc import AsyncIterator

from gateway.backends.objects.embedded.face.authentication import Identity
from gateway.backends.objects.embedded.face.checks import Checks
from gateway.backends.objects.embedded.face.chunked import Chain, ChunkDecoder
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.requests import S3Request
from gateway.backends.objects.markup import MarkupError, Node, parse_markup
from gateway.backends.objects.sigv4 import UNSIGNED_PAYLOAD

IDLE_LIMIT_S = 300
"""How long a client may send nothing in the middle of a body."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

_CHUNKED = {
    # kind: (chunks are signed, trailers may follow)
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}


async def payload(request: S3Request, identity: Identity) -> AsyncIterator[bytes]:
    """The bytes the client means to send.

    Raises S3Error, at the latest at their end, if they are not what was said.
    """
    checks = Checks(request.http.headers)
    decoder = _decoder(identity)
    if _SHA256.fullmatch(identity.payload):
        checks.expect_sha256(identity.payload)
    elif decoder is None and identity.payload != UNSIGNED_PAYLOAD:
        raise S3Error(
            "InvalidRequest", "x-amz-content-sha256 is neither a digest nor a kind of payload that is taken"
        )
    async for raw in _received(request):
        for chunk in decoder.feed(raw) if decoder else (raw,):
            checks.update(chunk)
            yield chunk
    if decoder:
        decoder.finish()
    checks.require(decoder.trailers if decoder else {})


async def read_document(
    request: S3Request, identity: Identity, *, root: str, limit_bytes: int = 1 << 20
) -> Node:
    """A small body that is XML with this root. Raises S3Error."""
    raw = bytearray()
    async for chunk in payload(request, identity):
        raw += chunk
        if len(raw) > limit_bytes:
            raise S3Error("MalformedXML", f"the document is longer than {limit_bytes} bytes")
    try:
        node = parse_markup(bytes(raw))
    except MarkupError as error:
        raise S3Error("MalformedXML", f"the document cannot be read: {error}") from error
    if node.name != root:
        raise S3Error("MalformedXML", f"the document is no {root}")
    return node


def _decoder(identity: Identity) -> ChunkDecoder | None:
    if identity.payload not in _CHUNKED:
        return None
    signed, trailed = _CHUNKED[identity.payload]
    chain = Chain(identity.signing, identity.signature) if signed else None
    return ChunkDecoder(chain=chain, trailed=trailed)


async def _received(request: S3Request) -> AsyncIterator[bytes]:
    """What comes over the wire. Raises starlette's ClientDisconnect when the client has gone."""
    stream = request.http.stream()
    try:
        while True:
            async with asyncio.timeout(IDLE_LIMIT_S):
                chunk = await anext(stream)
            if chunk:
                yield chunk
    except StopAsyncIteration:
        return
    except TimeoutError:
        raise S3Error("RequestTimeout", "nothing came for too long") from None
