"""One JSON object from an identity provider: bounded in size and time, never over a network unencrypted."""

import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog

from gateway.domain.problems import Unauthenticated, Unavailable

TOTAL_S = 5.0
ANSWER_LIMIT = 1 << 20
CONNECTIONS = 16
"""To one provider at the same time."""
RETRY_S = 5

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Without decompression: what is bounded is what arrives."""
    async with aiohttp.ClientSession(
        # One provider that hangs holds none of another's connections.
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=TOTAL_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": "oscar-gateway", "Accept-Encoding": "identity", "Accept": "application/json"},
    ) as session:
        yield session


async def fetch_object(session: aiohttp.ClientSession, url: str, *, token: str = "") -> dict[str, Any]:
    """What stands at a URL, asked for with a user's token if there is one.

    Raises Unauthenticated if the token is refused, Unavailable.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            if token and answer.status in (401, 403):
                raise Unauthenticated("the token's issuer refuses it")
            if answer.status != 200:
                raise away(url, f"answers {answer.status}")
            raw = await _whole(answer, url)
    except (aiohttp.ClientError, OSError) as error:
        # Not chained, as everything here: no text of theirs is to repeat what was sent.
        raise away(url, f"does not answer: {_short(error)}") from None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise away(url, "answers what is no JSON object")
    return found


def away(url: str, why: str) -> Unavailable:
    host = urlsplit(url).netloc
    log.warning("issuer.unusable", issuer=host, why=why)
    return Unavailable(f"the identity provider {host} {why}", retry_after_s=RETRY_S)


def is_private(url: str, *, loopback: bool) -> bool:
    """Whether what is sent there is nobody else's to read: https, or with `loopback` this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _whole(answer: aiohttp.ClientResponse, url: str) -> bytes:
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > ANSWER_LIMIT:
            raise away(url, "answers more than can be meant")
    return bytes(raw)


def _short(error: Exception) -> str:
    """Of what kind, without the address, which the text of these errors has."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
