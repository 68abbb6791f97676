"""The object store as a pod reaches it: by links that the gateway gives for this attempt, without any
credential. What is the gateway's own goes through the gateway."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPResponse
from pathlib import Path

from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, log_key, result_key
from gateway.domain.parted import part_bytes
from gateway.domain.problems import Forbidden, NotFound
from workers.pod.connections import Connections
from workers.pod.gateway import Gateway, read_answer, read_whole
from workers.pod.http import Http
from workers.pod.laying import Laying, Piece
from workers.pod.links import Link, PutLinks
from workers.pod.upload import PAUSES_S, Upload

LINKS_KEPT = 256
"""Of places that were asked about and not put to yet. What was dropped is asked for again."""


class PodStore:
    """Satisfies the launcher's Store; many may ask and put at once. `notes` is what would be the log: the
    script's own output is its container's, which the watch reads."""

    def __init__(
        self,
        gateway: Gateway,
        attempt: AttemptId,
        own_bucket: str,
        spool: Path,
        *,
        verify: bool,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """`pauses_s` before a part of a large output is put again, each."""
        self.notes = ""
        self._gateway = gateway
        self._attempt = attempt
        self._own_bucket = own_bucket
        self._spool = spool
        self._pauses_s = pauses_s
        self._connections = Connections(verify=verify)
        self._put_links = PutLinks(gateway)
        self._kept: dict[tuple[str, str], Link] = {}

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        if bucket == self._own_bucket:
            async for chunk in self._gateway.payload():
                yield chunk
            return
        (link,) = await self._gateway.links([{"method": "GET", "bucket": bucket, "key": key}])
        with self._connections.one() as http:
            answer = await _send(http, "GET", link, bucket)
            async for chunk in read_answer(answer):
                yield chunk

    async def stat(self, bucket: str, key: str) -> StoredObject:
        """The link that is asked for on the way is kept for the `put` that follows."""
        link = await self._put_links.get(bucket, key, _kind(key))
        if len(self._kept) >= LINKS_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[bucket, key] = link
        there = link["there"]
        if there is None:
            raise NotFound(f"there is no {key} in {bucket}")
        return StoredObject(**{**there, "modified_at": datetime.fromisoformat(there["modified_at"])})

    async def put(
        self,
        bucket: str,
        key: str,
        body: AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        mark: str = "",  # noqa: ARG002  # the link brings the mark, which is the gateway's to say
    ) -> StoredObject:
        laying = Laying(body, self._spool)
        if bucket != self._own_bucket:
            etag, size_bytes = await self._put_linked(bucket, key, content_type, laying)
            return StoredObject(bucket, key, etag, datetime.now(UTC), size_bytes=size_bytes)
        whole = await laying.piece()
        with whole.file:
            if key == log_key(self._attempt):
                self.notes = whole.file.read().decode("utf-8", "replace")
            elif key == result_key(self._attempt):
                await self._gateway.keep_result(whole.file, whole.size_bytes)
            else:
                raise Forbidden(f"{key} is not this attempt's")
        return StoredObject(bucket, key, "", datetime.now(UTC), size_bytes=whole.size_bytes)

    def close(self) -> None:
        self._connections.close()

    async def _put_linked(self, bucket: str, key: str, kind: str, laying: Laying) -> tuple[str, int]:
        """Its eTag and size. In one request if it fits into a part, else in parts."""
        link = self._kept.pop((bucket, key), None)
        first = await laying.piece(part_bytes(1))
        with first.file:
            if not first.last:
                where = {"bucket": bucket, "key": key, "content_type": kind}
                upload = Upload(self._gateway, where, self._send_piece, pauses_s=self._pauses_s)
                return await upload.put(first, laying), laying.taken_bytes
            link = link or await self._put_links.get(bucket, key, kind)
            return await self._send_piece(bucket, link, first), first.size_bytes

    async def _send_piece(self, bucket: str, link: Link, piece: Piece) -> str:
        with self._connections.one() as http:
            answer = await _send(http, "PUT", link, bucket, piece=piece)
            await read_whole(answer)
        return (answer.getheader("ETag") or "").strip('"')


def _kind(key: str) -> str:
    """As `stage_out` tells it by the output's name, which the key ends with."""
    return mimetypes.guess_type(key, strict=False)[0] or "application/octet-stream"


async def _send(
    http: Http, method: str, link: Link, bucket: str, *, piece: Piece | None = None
) -> HTTPResponse:
    body, size_bytes = (None, 0) if piece is None else (piece.file, piece.size_bytes)
    try:
        return await asyncio.to_thread(
            http.send, method, link["url"], headers=link["headers"], body=body, size_bytes=size_bytes
        )
    except NotFound as problem:
        # The store's words have its address in them.
        what = "the object or its bucket" if method == "GET" else "the bucket"
        raise NotFound(f"{what} is not there: {bucket}") from problem
