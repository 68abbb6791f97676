"""Multipart uploads: parts, which become one object in a single step that copies nothing."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence

from gateway.backends.objects.embedded.blobs import Blobs
from gateway.backends.objects.embedded.database import Database
from gateway.backends.objects.embedded.notices import Notices, Origin
from gateway.backends.objects.embedded.object_rows import Guard, any_version, replace_object
from gateway.backends.objects.embedded.upload_rows import (
    Part,
    Upload,
    add_upload,
    assemble,
    drop_stale_uploads,
    drop_upload,
    find_upload,
    list_parts,
    list_uploads,
    put_part,
)
from gateway.backends.objects.embedded.version import Description, Version, now_ms

STALE_S = 7 * 86400
"""Uploads given up without a word are dropped at a start after so long."""


class Uploads:
    """Every method raises StorageFull, Unavailable, BucketMissing and, about one upload, UploadMissing."""

    def __init__(self, database: Database, blobs: Blobs, notices: Notices, *, object_limit: int) -> None:
        self._database = database
        self._blobs = blobs
        self._notices = notices
        self._object_limit = object_limit

    async def begin(self, bucket: str, key: str, description: Description) -> Upload:
        """Raises KeyInvalid."""
        upload = Upload(secrets.token_urlsafe(24), bucket, key, description, now_ms())
        await self._database.change(lambda db: add_upload(db, upload))
        return upload

    async def put_part(self, upload: Upload, number: int, body: AsyncIterator[bytes]) -> Part:
        """Durable when it returns; replaces the part of this number.

        Raises TooLarge and whatever `body` raises.
        """
        segment, md5 = await self._blobs.write(body, limit_bytes=self._object_limit)
        part = Part(number, md5, segment, now_ms())
        return await self._database.exchange(lambda db: _put_part(db, upload, part), brought=[segment.blob])

    async def complete(
        self,
        upload: Upload,
        chosen: Sequence[tuple[int, str]],
        *,
        origin: Origin,
        guard: Guard = any_version,
    ) -> Version:
        """The object made of the chosen parts (number, ETag); the upload is over, and the listener told.

        Raises PartInvalid, PartOrderInvalid, PartTooSmall, TooLarge, PreconditionFailed; then the upload
        stays.
        """
        version = await self._database.exchange(lambda db: self._complete(db, upload, chosen, guard))
        await self._notices.tell(version, origin)
        return version

    async def abort(self, upload: Upload) -> None:
        """It and its parts are gone."""
        await self._database.exchange(lambda db: (None, drop_upload(db, upload.id)))

    async def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        return await self._database.read(lambda db: find_upload(db, bucket, key, upload_id))

    async def parts(self, upload: Upload, *, after: int, limit: int) -> tuple[Part, ...]:
        """By number."""
        return await self._database.read(lambda db: list_parts(db, upload.id, after=after, limit=limit))

    async def page(
        self, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
    ) -> tuple[Upload, ...]:
        """By key and id, those after `after` (a key and an id)."""
        return await self._database.read(
            lambda db: list_uploads(db, bucket, prefix=prefix, after=after, limit=limit)
        )

    async def drop_stale(self) -> None:
        """Those begun more than `STALE_S` ago."""
        before_ms = now_ms() - STALE_S * 1000
        await self._database.exchange(lambda db: (None, drop_stale_uploads(db, before_ms=before_ms)))

    def _complete(
        self, db: sqlite3.Connection, upload: Upload, chosen: Sequence[tuple[int, str]], guard: Guard
    ) -> tuple[Version, Iterable[str]]:
        draft = assemble(
            db, find_upload(db, upload.bucket, upload.key, upload.id), chosen, limit_bytes=self._object_limit
        )
        version, replaced = replace_object(db, draft, now_ms=now_ms(), guard=guard)
        unused = set(drop_upload(db, upload.id)) - {segment.blob for segment in version.segments}
        return version, [*replaced, *unused]


def _put_part(db: sqlite3.Connection, upload: Upload, part: Part) -> tuple[Part, Iterable[str]]:
    find_upload(db, upload.bucket, upload.key, upload.id)
    return part, put_part(db, upload.id, part)
