"""A store of S3's kind behind the `Objects` role. It may be away at any time, also at the start: whatever is
asked then raises Unavailable, and works once it is back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import structlog

from gateway.backends.objects.names import key_bytes, require_bucket_name
from gateway.backends.objects.presign import part_query, presigned_url
from gateway.backends.objects.protocol import OWN_BUCKET, Bucket, Listing, UploadPart
from gateway.backends.objects.refusals import BucketMissing, UploadMissing
from gateway.backends.objects.s3 import buckets, listing, uploads
from gateway.backends.objects.s3.connection import Connection, open_session
from gateway.backends.objects.s3.place import Place
from gateway.backends.objects.s3.probe import wait_for_resumption
from gateway.backends.objects.s3.refusals import NothingInRange, TargetMissing
from gateway.backends.objects.s3.rules import merged
from gateway.domain.event import StoredObject
from gateway.domain.mark import METADATA_KEY
from gateway.domain.problems import Forbidden, Problem

RULES_WITHIN_S = 6.0
"""How long a store that has just started may deny its own targets."""
RULES_PAUSE_S = 0.5
CHUNK_BYTES = 256 << 10

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_s3(place: Place, *, object_limit: int) -> AsyncIterator["S3Objects"]:
    """The store, without waiting for it. `object_limit` in bytes, of what is put through this process."""
    async with open_session() as session:
        store = S3Objects(Connection(session, place.inside), place, object_limit=object_limit)
        try:
            await store.ready()
        except Problem as problem:
            log.warning("store.unavailable", why=problem.detail)
        yield store


class S3Objects:
    """See `Objects` for the role's promises."""

    def __init__(self, connection: Connection, place: Place, *, object_limit: int) -> None:
        self.provider = place.provider
        self._connection = connection
        self._place = place
        self._object_limit = object_limit
        self._own_made = False
        self._watching = asyncio.Lock()

    async def make_bucket(self, name: str, *, tags: Mapping[str, str]) -> bool:
        require_bucket_name(name)
        if name in (OWN_BUCKET, self._place.own_bucket):
            return False
        return await buckets.make_bucket(self._connection, name, tags=tags)

    async def bucket(self, name: str) -> Bucket:
        return await buckets.find_bucket(self._connection, await self._named(name))

    async def buckets(self) -> tuple[Bucket, ...]:
        ours = (OWN_BUCKET, self._place.own_bucket)
        return await buckets.all_buckets(self._connection, without=ours)

    async def tag_bucket(self, name: str, tags: Mapping[str, str]) -> None:
        await buckets.tag_bucket(self._connection, await self._named(name), tags)

    async def remove_bucket(self, name: str) -> None:
        if name in (OWN_BUCKET, self._place.own_bucket):
            raise Forbidden("the gateway's own bucket stays")
        await buckets.remove_bucket(self._connection, name)

    async def put(
        self,
        bucket: str,
        key: str,
        body: AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        mark: str = "",
    ) -> StoredObject:
        key_bytes(key)
        etag, size_bytes = await uploads.store_body(
            self._connection,
            await self._named(bucket),
            key,
            body,
            headers=uploads.describing(content_type, mark),
            limit_bytes=self._object_limit,
        )
        return await self._stored(bucket, key, etag, size_bytes=size_bytes, mark=mark)

    async def stat(self, bucket: str, key: str) -> StoredObject:
        key_bytes(key)
        told = await self._connection.send("HEAD", await self._named(bucket), key)
        etag, mark = told.get("ETag", "").strip('"'), told.get(f"x-amz-meta-{METADATA_KEY}", "")
        size_bytes = int(told.get("Content-Length", 0))
        stored = await self._stored(bucket, key, etag, size_bytes=size_bytes, mark=mark, told=told)
        version = told.get("x-amz-version-id", "")
        return replace(stored, version="" if version == "null" else version)

    async def read(
        self, bucket: str, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        if end is not None and end <= start:
            await self._connection.send("HEAD", await self._named(bucket), key)
            return
        last = "" if end is None else str(end - 1)
        headers = {"range": f"bytes={start}-{last}"} if start or last else {}
        try:
            async with self._connection.request(
                "GET", await self._named(bucket), key, headers=headers
            ) as answer:
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    yield chunk
        except NothingInRange:
            return

    async def remove(self, bucket: str, key: str) -> None:
        await self._connection.send("DELETE", await self._named(bucket), key)

    async def list(self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> Listing:
        page = await listing.list_page(
            self._connection, await self._named(bucket), prefix=prefix, after=after, limit=limit
        )
        return replace(page, objects=tuple(replace(each, bucket=bucket) for each in page.objects))

    async def walk(self, bucket: str, *, prefix: str = "") -> AsyncGenerator[tuple[StoredObject, ...], None]:
        pages = listing.walk(self._connection, await self._named(bucket), prefix=prefix)
        async with aclosing(pages):
            async for page in pages:
                yield tuple(replace(each, bucket=bucket) for each in page) if bucket == OWN_BUCKET else page

    async def begin_upload(
        self, bucket: str, key: str, *, content_type: str = "application/octet-stream", mark: str = ""
    ) -> str:
        key_bytes(key)
        headers = uploads.describing(content_type, mark)
        return await uploads.begin_upload(self._connection, await self._named(bucket), key, headers=headers)

    async def complete_upload(
        self, bucket: str, key: str, upload: str, parts: Sequence[tuple[int, str]]
    ) -> StoredObject:
        made = await uploads.complete_upload(self._connection, await self._named(bucket), key, upload, parts)
        stored = await self.stat(bucket, key)
        if stored.etag != made:
            # versitygw takes every upload it does not know for a completed one, if something is there.
            raise UploadMissing
        return stored

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        try:
            await uploads.abort_upload(self._connection, await self._named(bucket), key, upload)
        except UploadMissing:
            return

    def presign(
        self,
        method: Literal["GET", "PUT"],
        bucket: str,
        key: str,
        *,
        expires_s: int,
        now: datetime,
        headers: Mapping[str, str] | None = None,
        inside: bool = False,
    ) -> str:
        where = self._place.inside if inside else self.provider
        path = f"/{self._physical(bucket)}/{key}"
        return presigned_url(where, method, path, expires_s=expires_s, now=now, headers=headers or {})

    def presign_part(self, bucket: str, key: str, part: UploadPart, *, expires_s: int, now: datetime) -> str:
        path, query = f"/{self._physical(bucket)}/{key}", part_query(part)
        return presigned_url(
            self._place.inside, "PUT", path, expires_s=expires_s, now=now, headers={}, query=query
        )

    async def watch(self, bucket: str, prefixes: Collection[str]) -> None:
        if not self._place.events_arn:
            return
        deadline = asyncio.get_running_loop().time() + RULES_WITHIN_S
        async with self._watching:
            while True:
                try:
                    await self._put_rules(bucket, prefixes)
                except TargetMissing:
                    if asyncio.get_running_loop().time() > deadline:
                        raise
                    await asyncio.sleep(RULES_PAUSE_S)
                else:
                    return

    async def resumed(self) -> None:
        await wait_for_resumption(self._place.inside, self._place.own_bucket)

    async def ready(self) -> None:
        self._own_made = False
        await self._make_own()

    async def _put_rules(self, bucket: str, prefixes: Collection[str]) -> None:
        current = await self._connection.ask("GET", bucket, query={"notification": ""})
        wanted = merged(current, owner=self._place.own_bucket, arn=self._place.events_arn, prefixes=prefixes)
        if wanted is not None:
            await self._connection.send("PUT", bucket, query={"notification": ""}, body=wanted)
            log.info("bucket.watched", bucket=bucket, prefixes=len(prefixes))

    async def _stored(
        self,
        bucket: str,
        key: str,
        etag: str,
        *,
        size_bytes: int,
        mark: str,
        told: Mapping[str, str] | None = None,
    ) -> StoredObject:
        """With the time as listings have it, if it can be had; a newer version may be there by now."""
        listed = await listing.find_listed(self._connection, self._physical(bucket), key)
        if listed is not None and listed.etag == etag:
            return replace(listed, bucket=bucket, mark=mark)
        modified_at = parsedate_to_datetime((told or {})["Last-Modified"]) if told else datetime.now(UTC)
        modified_at = modified_at.replace(microsecond=modified_at.microsecond // 1000 * 1000)
        return StoredObject(bucket, key, etag, modified_at, size_bytes=size_bytes, mark=mark)

    async def _named(self, bucket: str) -> str:
        """What the store calls it; the gateway's own is made if it is not there yet. A bucket that happens to
        have the own one's name there is none of ours."""
        if bucket == OWN_BUCKET:
            await self._make_own()
        elif bucket == self._place.own_bucket:
            raise BucketMissing(bucket)
        return self._physical(bucket)

    async def _make_own(self) -> None:
        if not self._own_made:
            await buckets.make_bucket(self._connection, self._place.own_bucket, tags={})
            self._own_made = True

    def _physical(self, bucket: str) -> str:
        return self._place.own_bucket if bucket == OWN_BUCKET else bucket
