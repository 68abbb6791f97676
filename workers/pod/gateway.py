"""The gateway as a pod sees it: with a claim, for one attempt; many may ask at once. What may be better later
is asked again for as long as the gateway may take to come back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO

from gateway.domain.problems import Problem, Unavailable
from gateway.domain.work_order import WorkOrder, read_work_order
from gateway.staging.chunks import CHUNK
from workers.pod.connections import Connections
from workers.pod.http import Http

PATIENCE_S = 120.0
COMPLETE_PATIENCE_S = 600.0
"""A store may take minutes to make an object of many parts, and all of it is there already."""
PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0


class Gateway:
    def __init__(self, url: str, attempt: str, claim: str) -> None:
        self._base = f"{url.rstrip('/')}/v1/attempts/{attempt}"
        self._headers = {"Authorization": f"Bearer {claim}"}
        self._connections = Connections()

    async def order(self) -> WorkOrder:
        """Raises Conflict if the attempt is over, Unauthenticated, Unavailable, Invalid."""
        return read_work_order(await self._ask("GET", "order"))

    async def links(self, wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """In order, `url`, `headers`, `there` of each: see `actions.link_objects`."""
        body = _json({"links": wishes})
        found: list[dict[str, Any]] = json.loads(await self._ask("POST", "links", body=body))["links"]
        return found

    async def begin_upload(self, where: Mapping[str, str]) -> str:
        """Its id. `where` has `bucket`, `key`, `content_type`; see `actions.upload_outputs` for this and the
        next two. When it is asked again the first one may be there too: the gateway knows of it."""
        begun: str = json.loads(await self._ask("POST", "uploads", body=_json(where)))["upload"]
        return begun

    async def complete_upload(self, where: Mapping[str, str], etags: Sequence[str]) -> str:
        """The object's eTag. `where` has the `upload`, too."""
        body = _json({**where, "etags": etags})
        answer = await self._ask("POST", "uploads/complete", body=body, patience_s=COMPLETE_PATIENCE_S)
        made: str = json.loads(answer)["etag"]
        return made

    async def abort_upload(self, where: Mapping[str, str], *, patience_s: float = PATIENCE_S) -> None:
        await self._ask("POST", "uploads/abort", body=_json(where), patience_s=patience_s)

    async def payload(self) -> AsyncIterator[bytes]:
        with self._connections.one() as http:
            answer = await self._send(http, "GET", "payload")
            async for chunk in read_answer(answer):
                yield chunk

    async def keep_result(self, file: BinaryIO, size_bytes: int) -> None:
        with self._connections.one() as http:
            answer = await self._send(http, "PUT", "result", body=file, size_bytes=size_bytes)
            await read_whole(answer)

    async def report(self, report: bytes, *, patience_s: float = PATIENCE_S) -> None:
        await self._ask("POST", "report", body=report, patience_s=patience_s)

    def close(self) -> None:
        self._connections.close()

    async def _ask(
        self, method: str, what: str, *, body: bytes | None = None, patience_s: float = PATIENCE_S
    ) -> bytes:
        until, pause_s = time.monotonic() + patience_s, PAUSE_S
        while True:
            try:
                with self._connections.one() as http:
                    answer = await self._send(http, method, what, body=body, size_bytes=len(body or b""))
                    return await read_whole(answer)
            except Unavailable:
                if time.monotonic() + pause_s > until:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _send(
        self,
        http: Http,
        method: str,
        what: str,
        *,
        body: bytes | BinaryIO | None = None,
        size_bytes: int = 0,
    ) -> HTTPResponse:
        url = f"{self._base}/{what}"
        try:
            return await asyncio.to_thread(
                http.send, method, url, headers=self._headers, body=body, size_bytes=size_bytes
            )
        except Problem as problem:
            problem.detail = f"the gateway: {problem.detail}"
            raise


async def read_answer(answer: HTTPResponse) -> AsyncIterator[bytes]:
    """Raises Unavailable if it is cut."""
    try:
        while chunk := await asyncio.to_thread(answer.read, CHUNK):
            yield chunk
    except (OSError, HTTPException) as error:
        raise Unavailable(f"an answer was cut: {type(error).__name__}") from error


async def read_whole(answer: HTTPResponse) -> bytes:
    """Raises Unavailable if it is cut."""
    try:
        return await asyncio.to_thread(answer.read)
    except (OSError, HTTPException) as error:
        raise Unavailable(f"an answer was cut: {type(error).__name__}") from error


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
