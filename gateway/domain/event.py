"""An event: an object-created notice from a store, peeled from the wire form."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of one object. The four fields (or the version id, where the store keeps versions) are
    its identity: the same from a notification and from a listing.

    `modified_at` is UTC, cut to milliseconds; `etag` comes without quotes; `key` is decoded. `mark` is what
    the writer left in the object's metadata, if it was one of our jobs (see `domain.mark`).
    """

    bucket: str
    key: str
    etag: str
    modified_at: datetime
    size_bytes: int = 0
    version: str = ""
    mark: str = ""
