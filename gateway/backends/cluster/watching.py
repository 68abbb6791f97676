"""Watching a kind of object: the whole list, then changes; resumed where it was cut, listed anew where the
past is forgotten."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from gateway.backends.cluster.refusals import Expired, refusal
from gateway.backends.cluster.sending import Sending
from gateway.domain.problems import Problem, Unavailable

WATCH_S = 300
"""The API server ends a watch after this long, give or take; it is resumed."""
IDLE_S = 120.0
"""Bookmarks come about every minute: silence this long is a dead connection, or costs one resumption."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0

ListWhole = Callable[[str, str], Awaitable[dict[str, Any]]]
Report = Callable[[Problem | None], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Change:
    """`object` is the one that changed; for SYNCED the whole list, `{"items": [...]}`."""

    kind: Literal["SYNCED", "ADDED", "MODIFIED", "DELETED"]
    object: dict[str, Any]


async def watch(
    list_whole: ListWhole, connection: Sending, path: str, selector: str, *, report: Report
) -> AsyncGenerator[Change]:
    """See Cluster.watch."""
    health = _Health(path, report)
    version = ""
    while True:
        try:
            if not version:
                listed = await list_whole(path, selector)
                version = listed["metadata"]["resourceVersion"]
                yield Change("SYNCED", listed)
            async with aclosing(_events(connection, path, selector, version, health.mend)) as events:
                async for kind, changed in events:
                    version = changed["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield Change(kind, changed)
            await asyncio.sleep(SHORTEST_PAUSE_S)
        except Expired:
            version = ""
        except Problem as problem:
            await health.suffer(problem)


class _Health:
    """Tells of an outage once, and of its end; makes pauses longer while it lasts."""

    def __init__(self, path: str, report: Report) -> None:
        self._path = path
        self._report = report
        self._pause_s = 0.0

    def mend(self) -> None:
        if self._pause_s > 0:
            log.info("watch.mended", path=self._path)
        self._pause_s = 0.0
        self._report(None)

    async def suffer(self, problem: Problem) -> None:
        if self._pause_s == 0:
            log.warning("watch.broken", path=self._path, why=problem.detail)
        self._report(problem)
        self._pause_s = min(max(self._pause_s * 2, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        await asyncio.sleep(max(self._pause_s, problem.retry_after_s or 0) * random.uniform(0.5, 1))  # noqa: S311


async def _events(
    connection: Sending, path: str, selector: str, version: str, begun: Callable[[], None]
) -> AsyncGenerator[tuple[Any, dict[str, Any]]]:
    """Changes after `version` until the server ends the watch. Raises Expired and other Problems."""
    query: dict[str, str | int] = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": int(WATCH_S * random.uniform(0.8, 1)),  # noqa: S311, so that not all resume at once
    }
    if selector:
        query["labelSelector"] = selector
    async with connection.request("GET", path, query=query, idle_s=IDLE_S) as answer:
        begun()
        async for line in _lines(answer.content.iter_any()):
            event = _event(line)
            if event["type"] == "ERROR":
                status = event["object"]
                raise refusal(int(status.get("code", 500)), json.dumps(status).encode(), asked="watch")
            yield event["type"], event["object"]


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines, however long; a line that is cut off is dropped, and comes again after the resumption."""
    kept: list[bytes] = []
    async for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join([*kept, line])
            kept.clear()
        kept.append(rest)


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if isinstance(event["object"], dict) and isinstance(event["type"], str):
            return dict(event)
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable("Kubernetes sent something else than an event") from error
    raise Unavailable("Kubernetes sent something else than an event")
