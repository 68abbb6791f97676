"""A connection to the store: one signed request at a time, over pooled connections. Not what is asked."""

import hashlib
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict, Unpack

import aiohttp
import structlog
from yarl import URL

from gateway.backends.objects.markup import MarkupError, Node, parse_markup
from gateway.backends.objects.presign import host_of
from gateway.backends.objects.protocol import Provider
from gateway.backends.objects.s3.refusals import RETRY_S, refusal
from gateway.backends.objects.sigv4 import ALGORITHM, encoded, request_digest, signed_time, signing
from gateway.domain.problems import Unavailable

CONNECT_S = 3.0
WAITING_S = 15.0
"""For a free connection, when all are in use."""
SILENT_S = 30.0
"""A store that says nothing for so long is away."""
CONNECTIONS = 64
"""Open at the same time. Each object that is read holds one."""
ERROR_LIMIT = 64 << 10
ANSWER_LIMIT = 16 << 20
"""Of an answer that is XML: a page of 1,000 keys of 1 KiB, each encoded, has 3 MiB."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_session(*, connections: int = CONNECTIONS) -> AsyncIterator[aiohttp.ClientSession]:
    """Without cookies or decompression: bytes are stored and read as they are."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=WAITING_S, sock_connect=CONNECT_S, sock_read=SILENT_S
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": "oscar-gateway", "Accept-Encoding": "identity"},
    ) as session:
        yield session


class Carried(TypedDict, total=False):
    """What a request may have beside the object it is for."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Connection:
    """`store` is where this process reaches it and with which keys."""

    session: aiohttp.ClientSession
    store: Provider

    @asynccontextmanager
    async def request(
        self, method: str, bucket: str = "", key: str = "", **carried: Unpack[Carried]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer, its body not read yet. Raises the Problems of `refusal`, Unavailable."""
        path = f"/{bucket}/{key}" if bucket else "/"
        asked, body = carried.get("query", {}), carried.get("body", b"")
        text = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in asked.items())
        url = f"{self.store.endpoint.rstrip('/')}{encoded(path, safe='/')}{'?' if text else ''}{text}"
        signed = self._signed(method, path, asked, carried.get("headers", {}), body)
        try:
            async with self.session.request(
                method, URL(url, encoded=True), headers=signed, data=io.BytesIO(body), allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    told = await answer.content.read(ERROR_LIMIT)
                    raise refusal(answer.status, told, bucket=bucket, key=key)
                yield answer
        except (aiohttp.ClientError, OSError) as error:
            log.debug("store.unreachable", method=method, bucket=bucket, error=repr(error))
            why = f"the object store does not answer: {_short(error)}"
            raise Unavailable(why, retry_after_s=RETRY_S) from error

    async def send(
        self, method: str, bucket: str = "", key: str = "", **carried: Unpack[Carried]
    ) -> Mapping[str, str]:
        """The headers of the answer. Raises as `request`."""
        async with self.request(method, bucket, key, **carried) as answer:
            await answer.read()
            return answer.headers

    async def ask(self, method: str, bucket: str = "", key: str = "", **carried: Unpack[Carried]) -> Node:
        """The answer's XML. Raises as `request`, also for an error that came with the status of a success."""
        async with self.request(method, bucket, key, **carried) as answer:
            raw = await _whole(answer)
        try:
            root = parse_markup(raw)
        except MarkupError as error:
            raise Unavailable("the object store's answer is not S3's", retry_after_s=RETRY_S) from error
        if root.name == "Error":
            raise refusal(500, raw, bucket=bucket, key=key)
        return root

    def _signed(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> dict[str, str]:
        signer = signing(self.store.secret_key, region=self.store.region, time=signed_time(datetime.now(UTC)))
        digest = hashlib.sha256(body).hexdigest()
        signed = {name.lower(): value for name, value in headers.items()} | {
            "host": host_of(self.store.endpoint),
            "x-amz-content-sha256": digest,
            "x-amz-date": signer.time,
        }
        asked = request_digest(method, path, query.items(), signed.items(), digest)
        signature = signer.sign(ALGORITHM, asked)
        names = ";".join(sorted(signed))
        credential = f"{self.store.access_key}/{signer.scope}"
        authorization = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return {**signed, "authorization": authorization}


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > ANSWER_LIMIT:
            raise Unavailable("the object store's answer is too long", retry_after_s=RETRY_S)
    return bytes(raw)


def _short(error: Exception) -> str:
    """Of what kind, without the address, which the text of these errors has."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
