"""Rows of objects: functions on a connection, parts of a transaction."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.backends.objects.embedded.bucket_rows import bucket_id
from gateway.backends.objects.embedded.version import Description, Segment, Version
from gateway.backends.objects.names import key_bytes
from gateway.backends.objects.refusals import ObjectMissing

COLUMNS = "key, etag, size_bytes, modified_ms, content_type, headers, metadata"

Guard = Callable[[Version | None], None]
"""Raises PreconditionFailed unless what stands there now allows the change."""


def any_version(_: Version | None) -> None:
    """The guard that allows everything."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A version to be, its bytes stored already."""

    bucket: str
    key: str
    etag: str
    description: Description
    segments: tuple[Segment, ...]


def find_object(db: sqlite3.Connection, bucket: str, key: str) -> Version:
    """Raises BucketMissing, ObjectMissing, KeyInvalid."""
    found = _find(db, bucket, key)
    if found is None:
        raise ObjectMissing(bucket, key)
    return found


def replace_object(
    db: sqlite3.Connection, draft: Draft, *, now_ms: int, guard: Guard = any_version
) -> tuple[Version, list[str]]:
    """The new version, and the blobs of the old one. Raises BucketMissing, KeyInvalid, PreconditionFailed.

    Modification times of one key always grow, so that equal bytes put twice within a millisecond are two
    versions.
    """
    old = _find(db, draft.bucket, draft.key)
    guard(old)
    new = Version(
        bucket=draft.bucket,
        key=draft.key,
        etag=draft.etag,
        size_bytes=sum(segment.size_bytes for segment in draft.segments),
        modified_ms=now_ms if old is None else max(now_ms, old.modified_ms + 1),
        description=draft.description,
        segments=draft.segments,
    )
    _write(db, new)
    return new, _blobs(old)


def delete_objects(
    db: sqlite3.Connection, bucket: str, keys: Sequence[str], *, guard: Guard = any_version
) -> list[str]:
    """Their blobs; those that are not there count as deleted.

    Raises BucketMissing, KeyInvalid, PreconditionFailed.
    """
    blobs: list[str] = []
    for key in keys:
        old = _find(db, bucket, key)
        guard(old)
        blobs += _blobs(old)
        db.execute(
            "DELETE FROM objects WHERE bucket_id = ? AND key = ?", (bucket_id(db, bucket), key_bytes(key))
        )
    return blobs


def wanted_blobs(db: sqlite3.Connection) -> set[str]:
    """Every blob that the index refers to."""
    objects = {blob for (row,) in db.execute("SELECT segments FROM objects") for blob, _ in json.loads(row)}
    return objects | {blob for (blob,) in db.execute("SELECT blob FROM parts")}


def listed_version(bucket: str, row: tuple[bytes, str, int, int, str, str, str]) -> Version:
    """A row of `COLUMNS` as a version without its segments."""
    key, etag, size_bytes, modified_ms, content_type, headers, metadata = row
    return Version(
        bucket=bucket,
        key=key.decode(),
        etag=etag,
        size_bytes=size_bytes,
        modified_ms=modified_ms,
        description=Description(content_type, json.loads(headers), json.loads(metadata)),
    )


def _find(db: sqlite3.Connection, bucket: str, key: str) -> Version | None:
    query = f"SELECT segments, {COLUMNS} FROM objects WHERE bucket_id = ? AND key = ?"  # noqa: S608
    row = db.execute(query, (bucket_id(db, bucket), key_bytes(key))).fetchone()
    if row is None:
        return None
    segments = tuple(Segment(blob, size) for blob, size in json.loads(row[0]))
    return replace(listed_version(bucket, row[1:]), segments=segments)


def _write(db: sqlite3.Connection, new: Version) -> None:
    described = new.description
    db.execute(
        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bucket_id(db, new.bucket),
            key_bytes(new.key),
            new.etag,
            new.size_bytes,
            new.modified_ms,
            described.content_type,
            json.dumps(dict(described.headers)),
            json.dumps(dict(described.metadata)),
            json.dumps([(segment.blob, segment.size_bytes) for segment in new.segments]),
        ),
    )


def _blobs(version: Version | None) -> list[str]:
    return [] if version is None else [segment.blob for segment in version.segments]
