"""Listing: one page of a bucket in key order, with keys below a delimiter rolled up into common prefixes."""

import sqlite3
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from gateway.backends.objects.embedded.bucket_rows import bucket_id
from gateway.backends.objects.embedded.object_rows import COLUMNS, listed_version
from gateway.backends.objects.embedded.version import Version

BEHIND_EVERY_KEY = b"\xff"
"""No UTF-8 has this byte."""


@dataclass(frozen=True, slots=True)
class Page:
    """`next_after` is the last key or common prefix on it if there is more, else None."""

    versions: tuple[Version, ...]
    prefixes: tuple[str, ...]
    next_after: str | None


def list_page(
    db: sqlite3.Connection, bucket: str, *, prefix: str = "", delimiter: str = "", after: str = "", limit: int
) -> Page:
    """At most `limit` keys and common prefixes together, all greater than `after`. Raises BucketMissing."""
    wanted = _Wanted(bucket_id(db, bucket), *(_raw(text) for text in (prefix, delimiter, after)))
    found: list[Version | str] = []
    with closing(_entries(db, bucket, wanted)) as entries:
        for entry in entries:
            if len(found) == limit:
                return _page(found, more=limit > 0)
            found.append(entry)
    return _page(found, more=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    bucket_id: int
    prefix: bytes
    delimiter: bytes
    after: bytes

    def common_prefix(self, key: bytes) -> bytes:
        """Of a key that begins with `prefix`; empty if it stands for itself."""
        if not self.delimiter:
            return b""
        below, found, _ = key[len(self.prefix) :].partition(self.delimiter)
        return self.prefix + below + found if found else b""

    def start(self) -> bytes:
        if not self.after.startswith(self.prefix):
            return max(self.prefix, self.after)
        common = self.common_prefix(self.after)
        return _behind(common) if common else self.after + b"\0" * bool(self.after)


def _entries(db: sqlite3.Connection, bucket: str, wanted: _Wanted) -> Generator[Version | str, None, None]:
    """A common prefix costs one look into the index, however many keys are below it."""
    query = f"SELECT {COLUMNS} FROM objects WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key"  # noqa: S608
    start: bytes | None = wanted.start()
    while start is not None:
        rows = db.execute(query, (wanted.bucket_id, start, _behind(wanted.prefix)))
        start = None
        for row in rows:
            if common := wanted.common_prefix(row[0]):
                yield common.decode()
                start = _behind(common)
                break
            yield listed_version(bucket, row)


def _behind(prefix: bytes) -> bytes:
    """The least bytes greater than every key with this prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else BEHIND_EVERY_KEY


def _page(found: list[Version | str], *, more: bool) -> Page:
    last = found[-1] if found else ""
    return Page(
        versions=tuple(entry for entry in found if isinstance(entry, Version)),
        prefixes=tuple(entry for entry in found if isinstance(entry, str)),
        next_after=(last if isinstance(last, str) else last.key) if more else None,
    )


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
