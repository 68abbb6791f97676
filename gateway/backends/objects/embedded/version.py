"""A version: what the index has of one object. Immutable; a new upload is a new version."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.domain.event import StoredObject
from gateway.domain.mark import METADATA_KEY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Segment:
    """A blob and how many bytes are in it.

    An object uploaded in parts has one a part: completing it copies nothing.
    """

    blob: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Description:
    """What the uploader said of the object. `headers` are answered as they came (Cache-Control and the like);
    `metadata` has lower-case names without `x-amz-meta-`."""

    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """`segments` are empty in listings."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    modified_ms: int
    description: Description
    segments: tuple[Segment, ...] = ()

    @property
    def modified_at(self) -> datetime:
        return moment(self.modified_ms)

    def stored(self) -> StoredObject:
        return StoredObject(
            bucket=self.bucket,
            key=self.key,
            etag=self.etag,
            modified_at=self.modified_at,
            size_bytes=self.size_bytes,
            mark=self.description.metadata.get(METADATA_KEY, ""),
        )


def moment(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as UTC, exactly: floats would lose one now and then."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def now_ms() -> int:
    """Milliseconds since 1970, by this machine's clock."""
    return time.time_ns() // 1_000_000
