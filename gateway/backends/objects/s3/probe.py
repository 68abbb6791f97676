"""The probe: asks the store again and again over one kept connection, so that a restart shows, however short.

A store that restarts closes its connections, and answers again before it has read which notices it owes:
what is uploaded in between is told to nobody.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import structlog

from gateway.backends.objects.protocol import Provider
from gateway.backends.objects.s3.connection import CONNECT_S, SILENT_S, Connection
from gateway.domain.problems import Problem

EVERY_S = 3.0
"""Shorter than any server keeps an idle connection, so that only its end closes ours."""
SETTLING_S = 2.0
"""From its first answer until it certainly tells again; MinIO was seen to need 0.6."""

log = structlog.get_logger(__name__)


async def wait_for_resumption(store: Provider, bucket: str) -> None:
    """Returns once the store has been away, or has restarted, since the call, and has settled."""
    async with _open_probe(store, bucket) as probe:
        resumed = await probe.was_away(after_s=0)
        while not resumed:
            resumed = await probe.was_away(after_s=EVERY_S)
        while resumed:
            resumed = await probe.was_away(after_s=SETTLING_S)
    log.info("store.resumed")


@asynccontextmanager
async def _open_probe(store: Provider, bucket: str) -> AsyncIterator["_Probe"]:
    opened: list[object] = []

    async def count(*event: object) -> None:
        opened.append(event)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=10 * EVERY_S),
        timeout=aiohttp.ClientTimeout(total=SILENT_S, sock_connect=CONNECT_S),
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield _Probe(Connection(session, store), bucket, opened)


class _Probe:
    """`opened` has an entry for each connection so far."""

    def __init__(self, connection: Connection, bucket: str, opened: list[object]) -> None:
        self._connection = connection
        self._bucket = bucket
        self._opened = opened

    async def was_away(self, *, after_s: float) -> bool:
        """Whether the store has been away since the last time, or is; asked after a while."""
        await asyncio.sleep(after_s)
        before = len(self._opened)
        return not await self._answers() or len(self._opened) > max(before, 1)

    async def _answers(self) -> bool:
        try:
            await self._connection.ask("GET", self._bucket, query={"list-type": "2", "max-keys": "1"})
        except Problem as problem:
            log.debug("store.away", why=problem.detail)
            return False
        return True
