"""Rows of multipart uploads and their parts: functions on a connection, parts of a transaction."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.backends.objects.embedded.bucket_rows import bucket_id
from gateway.backends.objects.embedded.object_rows import Draft
from gateway.backends.objects.embedded.version import Description, Segment
from gateway.backends.objects.names import key_bytes
from gateway.backends.objects.refusals import (
    PartInvalid,
    PartOrderInvalid,
    PartTooSmall,
    UploadMissing,
)
from gateway.domain.problems import TooLarge

PART_LEAST_BYTES = 5 << 20
"""Of every part but the last, by S3's rules."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted."""

    id: str
    bucket: str
    key: str
    description: Description
    begun_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    etag: str
    segment: Segment
    modified_ms: int


def add_upload(db: sqlite3.Connection, upload: Upload) -> None:
    """Raises BucketMissing, KeyInvalid."""
    described = upload.description
    db.execute(
        "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            upload.id,
            bucket_id(db, upload.bucket),
            key_bytes(upload.key),
            upload.begun_ms,
            described.content_type,
            json.dumps(dict(described.headers)),
            json.dumps(dict(described.metadata)),
        ),
    )


def find_upload(db: sqlite3.Connection, bucket: str, key: str, upload_id: str) -> Upload:
    """Raises BucketMissing, KeyInvalid, UploadMissing."""
    row = db.execute(
        "SELECT id, key, begun_ms, content_type, headers, metadata FROM uploads"
        " WHERE id = ? AND bucket_id = ? AND key = ?",
        (upload_id, bucket_id(db, bucket), key_bytes(key)),
    ).fetchone()
    if row is None:
        raise UploadMissing
    return _upload(bucket, row)


def list_uploads(
    db: sqlite3.Connection, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
) -> tuple[Upload, ...]:
    """By key and id, all after `after` (a key and an id). Raises BucketMissing."""
    start = prefix.encode(errors="surrogatepass")
    key, upload_id = after
    rows = db.execute(
        "SELECT id, key, begun_ms, content_type, headers, metadata FROM uploads"
        " WHERE bucket_id = ? AND (key, id) > (?, ?) AND substr(key, 1, ?) = ? ORDER BY key, id LIMIT ?",
        (bucket_id(db, bucket), key.encode(errors="surrogatepass"), upload_id, len(start), start, limit),
    )
    return tuple(_upload(bucket, row) for row in rows)


def put_part(db: sqlite3.Connection, upload_id: str, part: Part) -> list[str]:
    """The blob of the part it replaces, if any. The upload must be there."""
    old = db.execute(
        "SELECT blob FROM parts WHERE upload_id = ? AND number = ?", (upload_id, part.number)
    ).fetchall()
    db.execute(
        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)",
        (
            upload_id,
            part.number,
            part.etag,
            part.segment.size_bytes,
            part.modified_ms,
            part.segment.blob,
        ),
    )
    return [blob for (blob,) in old]


def list_parts(
    db: sqlite3.Connection, upload_id: str, *, after: int = 0, limit: int = -1
) -> tuple[Part, ...]:
    """By number, all after `after`; no limit if it is negative."""
    rows = db.execute(
        "SELECT number, etag, blob, size_bytes, modified_ms FROM parts"
        " WHERE upload_id = ? AND number > ? ORDER BY number LIMIT ?",
        (upload_id, after, limit),
    )
    return tuple(
        Part(number, etag, Segment(blob, size_bytes), modified_ms)
        for number, etag, blob, size_bytes, modified_ms in rows
    )


def drop_upload(db: sqlite3.Connection, upload_id: str) -> list[str]:
    """The blobs of its parts."""
    blobs = [part.segment.blob for part in list_parts(db, upload_id)]
    db.execute("DELETE FROM parts WHERE upload_id = ?", (upload_id,))
    db.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return blobs


def drop_stale_uploads(db: sqlite3.Connection, *, before_ms: int) -> list[str]:
    """Those begun before then; the blobs of their parts."""
    stale = db.execute("SELECT id FROM uploads WHERE begun_ms < ?", (before_ms,)).fetchall()
    return [blob for (upload_id,) in stale for blob in drop_upload(db, upload_id)]


def assemble(
    db: sqlite3.Connection, upload: Upload, chosen: Sequence[tuple[int, str]], *, limit_bytes: int
) -> Draft:
    """The object that the chosen parts (number, ETag) make up.

    Raises PartInvalid, PartOrderInvalid, PartTooSmall, TooLarge.
    """
    numbers = [number for number, _ in chosen]
    if not numbers or numbers != sorted(set(numbers)):
        raise PartOrderInvalid
    there = {part.number: part for part in list_parts(db, upload.id)}
    for number, etag in chosen:
        if number not in there or there[number].etag != etag:
            raise PartInvalid(number)
    parts = [there[number] for number in numbers]
    for part in parts[:-1]:
        if part.segment.size_bytes < PART_LEAST_BYTES:
            raise PartTooSmall(part.number)
    if sum(part.segment.size_bytes for part in parts) > limit_bytes:
        raise TooLarge(f"an object may have {limit_bytes} bytes")
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    segments = tuple(part.segment for part in parts)
    return Draft(upload.bucket, upload.key, etag, upload.description, segments)


def _upload(bucket: str, row: tuple[str, bytes, int, str, str, str]) -> Upload:
    upload_id, key, begun_ms, content_type, headers, metadata = row
    description = Description(content_type, json.loads(headers), json.loads(metadata))
    return Upload(upload_id, bucket, key.decode(), description, begun_ms)
