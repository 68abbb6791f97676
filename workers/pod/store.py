"""The object store as a pod reaches it: by links that the gateway gives for this attempt, without any
credential. What is the gateway's own goes through the gateway."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, log_key, result_key
from gateway.domain.problems import Forbidden, NotFound
from gateway.staging.disk import disk_problems
from workers.pod.gateway import Gateway, read_answer
from workers.pod.http import Http

IN_MEMORY = 8 << 20
"""A larger body is laid on the disk before it is sent: a store wants its length first, bytes."""


class PodStore:
    """Satisfies the launcher's Store. `notes` is what would be the log: the script's own output is its
    container's, which the watch reads."""

    def __init__(
        self, gateway: Gateway, attempt: AttemptId, own_bucket: str, spool: Path, *, verify: bool
    ) -> None:
        self.notes = ""
        self._gateway = gateway
        self._attempt = attempt
        self._own_bucket = own_bucket
        self._spool = spool
        self._http = Http(verify=verify)
        self._links: dict[tuple[str, str, str], dict[str, Any]] = {}

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        if bucket == self._own_bucket:
            async for chunk in self._gateway.payload():
                yield chunk
            return
        link = await self._gateway.link({"method": "GET", "bucket": bucket, "key": key})
        answer = await self._send("GET", link, bucket)
        async for chunk in read_answer(answer):
            yield chunk

    async def stat(self, bucket: str, key: str) -> StoredObject:
        """The link that is asked for on the way is kept for the `put` that follows."""
        link = await self._put_link(bucket, key, _kind(key))
        self._links[bucket, key, _kind(key)] = link
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

    async def _put_linked(self, bucket: str, key: str, kind: str, file: BinaryIO, size_bytes: int) -> str:
        link = self._links.pop((bucket, key, kind), None) or await self._put_link(bucket, key, kind)
        answer = await self._send("PUT", link, bucket, body=file, size_bytes=size_bytes)
        await asyncio.to_thread(answer.read)
        return (answer.getheader("ETag") or "").strip('"')

    async def _put_link(self, bucket: str, key: str, kind: str) -> dict[str, Any]:
        return await self._gateway.link({"method": "PUT", "bucket": bucket, "key": key, "content_type": kind})

    async def _send(
        self,
        method: str,
        link: dict[str, Any],
        bucket: str,
        *,
        body: BinaryIO | None = None,
        size_bytes: int = 0,
    ) -> HTTPResponse:
        try:
            return await asyncio.to_thread(
                self._http.send,
                method,
                link["url"],
                headers=link["headers"],
                body=body,
                size_bytes=size_bytes,
            )
        except NotFound as problem:
            # The store's words have its address in them.
            what = "the object or its bucket" if method == "GET" else "the bucket"
            raise NotFound(f"{what} is not there: {bucket}") from problem

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


def _moved(file: BinaryIO, path: Path) -> BinaryIO:
    on_disk = path.open("w+b")
    path.unlink()
    file.seek(0)
    on_disk.write(file.read())
    return on_disk
