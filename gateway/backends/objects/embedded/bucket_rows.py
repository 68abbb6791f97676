"""Rows of buckets: functions on a connection, parts of a transaction."""

import json
import sqlite3
from collections.abc import Mapping

from gateway.backends.objects.embedded.version import moment
from gateway.backends.objects.protocol import OWN_BUCKET, Bucket
from gateway.backends.objects.refusals import BucketMissing, BucketNotEmpty

BATCH = 500
"""Rows of a removed bucket forgotten in one transaction: others wait meanwhile."""


def add_bucket(db: sqlite3.Connection, name: str, *, tags: Mapping[str, str], now_ms: int) -> bool:
    """Whether it was made; False, and nothing changed, if it was there."""
    added = db.execute(
        "INSERT INTO buckets (name, created_ms, tags) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, now_ms, json.dumps(dict(tags))),
    )
    return added.rowcount == 1


def bucket_id(db: sqlite3.Connection, name: str) -> int:
    """Raises BucketMissing."""
    row = db.execute("SELECT id FROM buckets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise BucketMissing(name)
    return int(row[0])


def find_bucket(db: sqlite3.Connection, name: str) -> Bucket:
    """Raises BucketMissing."""
    row = db.execute("SELECT name, created_ms, tags FROM buckets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise BucketMissing(name)
    return _bucket(row)


def all_buckets(db: sqlite3.Connection) -> tuple[Bucket, ...]:
    """Ordered by name, but the gateway's own."""
    rows = db.execute(
        "SELECT name, created_ms, tags FROM buckets WHERE name <> ? ORDER BY name", (OWN_BUCKET,)
    )
    return tuple(_bucket(row) for row in rows)


def tag_bucket(db: sqlite3.Connection, name: str, tags: Mapping[str, str]) -> None:
    """Raises BucketMissing."""
    bucket = bucket_id(db, name)
    db.execute("UPDATE buckets SET tags = ? WHERE id = ?", (json.dumps(dict(tags)), bucket))


def drop_bucket(db: sqlite3.Connection, name: str, *, only_empty: bool) -> None:
    """Gone with everything in it, at once; `forget_removed` clears up.

    Raises BucketMissing, BucketNotEmpty.
    """
    bucket = bucket_id(db, name)
    if only_empty and db.execute("SELECT 1 FROM objects WHERE bucket_id = ? LIMIT 1", (bucket,)).fetchone():
        raise BucketNotEmpty(name)
    db.execute("DELETE FROM buckets WHERE id = ?", (bucket,))
    db.execute("INSERT INTO removed_buckets (id) VALUES (?)", (bucket,))


def forget_removed(db: sqlite3.Connection) -> tuple[bool, list[str]]:
    """Forget some rows of a removed bucket: whether any were left, and their blobs.

    To be called until there are none.
    """
    row = db.execute("SELECT id FROM removed_buckets LIMIT 1").fetchone()
    if row is None:
        return False, []
    blobs = _forget_objects(db, row[0]) or _forget_uploads(db, row[0])
    if not blobs:
        db.execute("DELETE FROM uploads WHERE bucket_id = ?", row)
        db.execute("DELETE FROM removed_buckets WHERE id = ?", row)
    return True, blobs


def _forget_objects(db: sqlite3.Connection, bucket: int) -> list[str]:
    rows = db.execute(
        "SELECT rowid, segments FROM objects WHERE bucket_id = ? LIMIT ?", (bucket, BATCH)
    ).fetchall()
    db.executemany("DELETE FROM objects WHERE rowid = ?", [(rowid,) for rowid, _ in rows])
    return [blob for _, segments in rows for blob, _ in json.loads(segments)]


def _forget_uploads(db: sqlite3.Connection, bucket: int) -> list[str]:
    rows = db.execute(
        "SELECT parts.rowid, blob FROM parts JOIN uploads ON id = upload_id WHERE bucket_id = ? LIMIT ?",
        (bucket, BATCH),
    ).fetchall()
    db.executemany("DELETE FROM parts WHERE rowid = ?", [(rowid,) for rowid, _ in rows])
    return [blob for _, blob in rows]


def _bucket(row: tuple[str, int, str]) -> Bucket:
    name, created_ms, tags = row
    return Bucket(name=name, created_at=moment(created_ms), tags=json.loads(tags))
