"""The embedded object store: the `Objects` role over one directory, and what its S3 face needs beyond it.

Bytes are in `blobs`, everything else in the index; what the index does not name does not exist. An object is
written as a new blob first and swapped in by one transaction, so that readers, and whoever starts after a
kill, see the whole old or the whole new one. One process at a time may have a directory open.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import structlog

from gateway.backends.objects.embedded import bucket_rows
from gateway.backends.objects.embedded.blobs import Blobs
from gateway.backends.objects.embedded.database import Database
from gateway.backends.objects.embedded.listing import Page, list_page
from gateway.backends.objects.embedded.notices import COMPLETED, Notices, Origin
from gateway.backends.objects.embedded.object_rows import (
    Draft,
    Guard,
    any_version,
    delete_objects,
    find_object,
    replace_object,
    wanted_blobs,
)
from gateway.backends.objects.embedded.schema import SCHEMA
from gateway.backends.objects.embedded.uploads import Uploads
from gateway.backends.objects.embedded.version import Description, Version, now_ms
from gateway.backends.objects.names import key_bytes, require_bucket_name
from gateway.backends.objects.presign import part_query, presigned_url
from gateway.backends.objects.protocol import OWN_BUCKET, Bucket, Listener, Listing, Provider, UploadPart
from gateway.backends.objects.refusals import UploadMissing
from gateway.domain.event import StoredObject
from gateway.domain.mark import METADATA_KEY
from gateway.domain.problems import Forbidden

WALKED = 1000
"""Objects on a page of a walk."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_embedded(
    folder: Path, provider: Provider, *, object_limit: int, listener: Listener | None = None
) -> AsyncIterator["EmbeddedObjects"]:
    """The store in this folder, made if there is none, cleared of what a killed process left.

    `object_limit` in bytes.

    Raises StorageFull, Unavailable.
    """
    blobs = Blobs(folder / "blobs")
    database = Database(folder / "index.db", schema=SCHEMA, remove=blobs.remove)
    store = EmbeddedObjects(database, blobs, provider, object_limit=object_limit)
    store.listen(listener)
    try:
        await blobs.prepare()
        await database.open()
        await store.clear_up()
        await store.make_bucket(OWN_BUCKET, tags={})
        yield store
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Reading:
    """A version whose bytes stay readable, whatever happens to its key meanwhile."""

    version: Version
    blobs: Blobs

    def chunks(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to, not including, `end`."""
        return self.blobs.read(self.version.segments, start, end)


class EmbeddedObjects:
    """See `Objects` for the role's promises.

    Beyond it, for the face: `write`, `copy`, `reading`, `page`, `delete`, `uploads`.
    """

    def __init__(self, database: Database, blobs: Blobs, provider: Provider, *, object_limit: int) -> None:
        self.provider = provider
        self._database = database
        self._blobs = blobs
        self._object_limit = object_limit
        self._notices = Notices(provider)
        self.uploads = Uploads(database, blobs, self._notices, object_limit=object_limit)

    def listen(self, listener: Listener | None) -> None:
        """Whom to tell of every completed upload. Once, at wiring."""
        self._notices.listener = listener

    async def clear_up(self) -> None:
        """At a start: finish removing buckets, drop uploads given up, remove blobs that nothing refers to."""
        await self._forget_removed()
        await self.uploads.drop_stale()
        removed = await self._blobs.sweep(await self._database.read(wanted_blobs))
        if removed:
            log.info("blobs.swept", blobs=removed)

    async def make_bucket(self, name: str, *, tags: Mapping[str, str]) -> bool:
        require_bucket_name(name)
        return await self._database.change(
            lambda db: bucket_rows.add_bucket(db, name, tags=tags, now_ms=now_ms())
        )

    async def bucket(self, name: str) -> Bucket:
        return await self._database.read(lambda db: bucket_rows.find_bucket(db, name))

    async def buckets(self) -> tuple[Bucket, ...]:
        return await self._database.read(bucket_rows.all_buckets)

    async def tag_bucket(self, name: str, tags: Mapping[str, str]) -> None:
        await self._database.change(lambda db: bucket_rows.tag_bucket(db, name, tags))

    async def remove_bucket(self, name: str) -> None:
        await self.drop_bucket(name, only_empty=False)

    async def drop_bucket(self, name: str, *, only_empty: bool) -> None:
        """Gone at once for everybody, then cleared away bit by bit.

        Raises NotFound, Forbidden, BucketNotEmpty.
        """
        if name == OWN_BUCKET:
            raise Forbidden("the gateway's own bucket stays")
        await self._database.change(lambda db: bucket_rows.drop_bucket(db, name, only_empty=only_empty))
        await self._forget_removed()

    async def put(
        self,
        bucket: str,
        key: str,
        body: AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        mark: str = "",
    ) -> StoredObject:
        version = await self.write(
            bucket, key, body, description=_marked(content_type, mark), origin=Origin()
        )
        return version.stored()

    async def write(
        self,
        bucket: str,
        key: str,
        body: AsyncIterator[bytes],
        *,
        description: Description,
        origin: Origin,
        guard: Guard = any_version,
    ) -> Version:
        """Store all of `body` or nothing, then tell the listener.

        Raises TooLarge, PreconditionFailed, what `body` raises.
        """
        key_bytes(key)
        await self.bucket(bucket)
        segment, md5 = await self._blobs.write(body, limit_bytes=self._object_limit)
        draft = Draft(bucket, key, md5, description, (segment,))
        return await self._replace(draft, origin, guard)

    async def copy(
        self,
        source: Reading,
        bucket: str,
        key: str,
        *,
        description: Description,
        origin: Origin,
        guard: Guard = any_version,
    ) -> Version:
        """Store the same bytes under another name, then tell the listener; nothing is read or written."""
        key_bytes(key)
        await self.bucket(bucket)
        segments = await self._blobs.link(source.version.segments)
        draft = Draft(bucket, key, source.version.etag, description, segments)
        return await self._replace(draft, origin, guard)

    async def stat(self, bucket: str, key: str) -> StoredObject:
        return (await self._database.read(lambda db: find_object(db, bucket, key))).stored()

    async def read(
        self, bucket: str, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        async with self.reading(bucket, key) as reading:
            stop = reading.version.size_bytes if end is None else end
            async with aclosing(reading.chunks(start, stop)) as chunks:
                async for chunk in chunks:
                    yield chunk

    @asynccontextmanager
    async def reading(self, bucket: str, key: str) -> AsyncIterator[Reading]:
        """The version that is there now, held until the end. Raises NotFound, KeyInvalid."""
        with self._blobs.holding() as hold:

            def find(db: sqlite3.Connection) -> Version:
                version = find_object(db, bucket, key)
                hold(version.segments)
                return version

            yield Reading(await self._database.read(find), self._blobs)

    async def remove(self, bucket: str, key: str) -> None:
        await self.delete(bucket, [key])

    async def delete(self, bucket: str, keys: Sequence[str], *, guard: Guard = any_version) -> None:
        """All of them or none, also those that are not there. Raises PreconditionFailed."""
        await self._database.exchange(lambda db: (None, delete_objects(db, bucket, keys, guard=guard)))

    async def list(self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> Listing:
        page = await self.page(bucket, prefix=prefix, after=after, limit=limit)
        return Listing(tuple(version.stored() for version in page.versions), page.next_after)

    async def page(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", after: str = "", limit: int
    ) -> Page:
        """See `listing.list_page`."""
        return await self._database.read(
            lambda db: list_page(db, bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        )

    async def walk(self, bucket: str, *, prefix: str = "") -> AsyncGenerator[tuple[StoredObject, ...], None]:
        after: str | None = ""
        while after is not None:
            page = await self.list(bucket, prefix=prefix, after=after, limit=WALKED)
            yield page.objects
            after = page.next_after

    async def begin_upload(
        self, bucket: str, key: str, *, content_type: str = "application/octet-stream", mark: str = ""
    ) -> str:
        return (await self.uploads.begin(bucket, key, _marked(content_type, mark))).id

    async def complete_upload(
        self, bucket: str, key: str, upload: str, parts: Sequence[tuple[int, str]]
    ) -> StoredObject:
        begun = await self.uploads.find(bucket, key, upload)
        return (await self.uploads.complete(begun, parts, origin=Origin(event=COMPLETED))).stored()

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        try:
            await self.uploads.abort(await self.uploads.find(bucket, key, upload))
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
        inside: bool = False,  # noqa: ARG002 - it has one address
    ) -> str:
        path = f"/{bucket}/{key}"
        return presigned_url(self.provider, method, path, expires_s=expires_s, now=now, headers=headers or {})

    def presign_part(self, bucket: str, key: str, part: UploadPart, *, expires_s: int, now: datetime) -> str:
        path, query = f"/{bucket}/{key}", part_query(part)
        return presigned_url(
            self.provider, "PUT", path, expires_s=expires_s, now=now, headers={}, query=query
        )

    async def watch(self, bucket: str, prefixes: Collection[str]) -> None:
        """It tells its listener of everything anyway."""

    async def resumed(self) -> None:
        """It lives and dies with this process."""
        await asyncio.Event().wait()

    async def ready(self) -> None:
        await self._database.read(lambda db: db.execute("SELECT 1 FROM buckets LIMIT 1").fetchone())
        await self._blobs.probe()

    async def _replace(self, draft: Draft, origin: Origin, guard: Guard) -> Version:
        def swap(db: sqlite3.Connection) -> tuple[Version, Iterable[str]]:
            return replace_object(db, draft, now_ms=now_ms(), guard=guard)

        version = await self._database.exchange(swap, brought=[segment.blob for segment in draft.segments])
        await self._notices.tell(version, origin)
        return version

    async def _forget_removed(self) -> None:
        while await self._database.exchange(bucket_rows.forget_removed):
            pass


def _marked(content_type: str, mark: str) -> Description:
    return Description(content_type, metadata={METADATA_KEY: mark} if mark else {})
