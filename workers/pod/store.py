"""The object store as a pod reaches it: by links that the gateway gives for this attempt, without any
credential. What is the gateway's own goes through the gateway."""

import asyncio
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, log_key, result_key
from gateway.domain.problems import Forbidden, NotFound
from gateway.staging.disk import disk_problems
from workers.pod.gateway import Gateway, read_answer
from workers.pod.http import Http
from workers.pod.links import Link, PutLinks

IN_MEMORY = 8 << 20
"""A larger body is laid on the disk before it is sent: a store wants its length first, bytes."""
LINKS_KEPT = 256
"""Of places that were asked about and not put to yet. What was dropped is asked for again."""


class PodStore:
    """Satisfies the launcher's Store; many may ask and put at once. `notes` is what would be the log: the
    script's own output is its container's, which the watch reads."""

    def __init__(
        self, gateway: Gateway, attempt: AttemptId, own_bucket: str, spool: Path, *, verify: bool
    ) -> None:
        self.notes = ""
        self._gateway = gateway
        self._attempt = attempt
        self._own_bucket = own_bucket
        self._spool = spool
        self._verify = verify
        self._idle: list[Http] = []
        self._put_links = PutLinks(gateway)
        self._kept: dict[tuple[str, str], Link] = {}

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        if bucket == self._own_bucket:
            async for chunk in self._gateway.payload():
                yield chunk
            return
        (link,) = await self._gateway.links([{"method": "GET", "bucket": bucket, "key": key}])
        with self._connections() as http:
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
        file, size_bytes = await self._laid_down(body)
        etag = ""
        with file:
            if bucket != self._own_bucket:
                etag = await self._put_linked(bucket, key, content_type, file, size_bytes)
            elif key == log_key(self._attempt):
                self.notes = file.read().decode("utf-8", "replace")
            elif key == result_key(self._attempt):
                await self._gateway.keep_result(file, size_bytes)
            else:
                raise Forbidden(f"{key} is not this attempt's")
        return StoredObject(bucket, key, etag, datetime.now(UTC), size_bytes=size_bytes)

    def close(self) -> None:
        for http in self._idle:
            http.close()

    async def _put_linked(self, bucket: str, key: str, kind: str, file: BinaryIO, size_bytes: int) -> str:
        link = self._kept.pop((bucket, key), None) or await self._put_links.get(bucket, key, kind)
        with self._connections() as http:
            answer = await _send(http, "PUT", link, bucket, body=file, size_bytes=size_bytes)
            await asyncio.to_thread(answer.read)
        return (answer.getheader("ETag") or "").strip('"')

    @contextmanager
    def _connections(self) -> Iterator[Http]:
        """For one at a time; after a failure nobody uses them again."""
        http = self._idle.pop() if self._idle else Http(verify=self._verify)
        try:
            yield http
        except BaseException:
            http.close()
            raise
        self._idle.append(http)

    async def _laid_down(self, body: AsyncIterator[bytes]) -> tuple[BinaryIO, int]:
        """All of it, to be read from the start, and how many bytes."""
        file: BinaryIO = BytesIO()
        size_bytes = 0
        async for chunk in body:
            if size_bytes <= IN_MEMORY < size_bytes + len(chunk):
                with disk_problems("laying down an output"):
                    file = await asyncio.to_thread(_moved, file, self._spool)
            size_bytes += len(chunk)
            with disk_problems("laying down an output"):
                await asyncio.to_thread(file.write, chunk)
        file.seek(0)
        return file, size_bytes


def _kind(key: str) -> str:
    """As `stage_out` tells it by the output's name, which the key ends with."""
    return mimetypes.guess_type(key, strict=False)[0] or "application/octet-stream"


async def _send(
    http: Http, method: str, link: Link, bucket: str, *, body: BinaryIO | None = None, size_bytes: int = 0
) -> HTTPResponse:
    try:
        return await asyncio.to_thread(
            http.send, method, link["url"], headers=link["headers"], body=body, size_bytes=size_bytes
        )
    except NotFound as problem:
        # The store's words have its address in them.
        what = "the object or its bucket" if method == "GET" else "the bucket"
        raise NotFound(f"{what} is not there: {bucket}") from problem


def _moved(file: BinaryIO, folder: Path) -> BinaryIO:
    on_disk: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # whoever puts it closes it
    file.seek(0)
    on_disk.write(file.read())
    return on_disk
