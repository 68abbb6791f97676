"""The object store: buckets, what is in them, presigned links, and the notice of every completed upload."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from gateway.domain.event import StoredObject

OWN_BUCKET = "oscar-gateway"
"""The gateway's own: payloads, results and logs. Made with the store; no client of the store sees or reaches
it."""

Listener = Callable[[StoredObject, bytes], Awaitable[None]]
"""Called with each object created outside the gateway's own bucket, and the notice in S3's JSON form (MinIO's
wrapping: EventName, Key, Records). A copy that is lost or late is made good by listing."""


@dataclass(frozen=True, slots=True)
class Provider:
    """How clients reach the store themselves: what `/system/config` calls `minio_provider`."""

    endpoint: str
    verify: bool
    region: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tags` hold whose it is: `owner`, `owner_name`, `from_service`, `visibility`, `allowed_users`
    (blank-separated)."""

    name: str
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    objects: tuple[StoredObject, ...]
    next_after: str | None
    """The key to go on after, None at the end."""


@dataclass(frozen=True, slots=True)
class UploadPart:
    """One part, numbered from 1, of an upload that `begin_upload` gave the id of."""

    upload: str
    number: int


class Objects(Protocol):
    """Keys are any UTF-8 of 1 to 1,024 bytes, though a store may refuse some as Invalid (MinIO `a/../b`).
    Every method raises Unavailable when the store is away, StorageFull when it has no space, NotFound for a
    bucket or object that is not there."""

    @property
    def provider(self) -> Provider: ...

    async def make_bucket(self, name: str, *, tags: Mapping[str, str]) -> bool:
        """True if it was made; False, and its tags unchanged, if it was there. Raises Invalid for a bad
        name."""
        ...

    async def bucket(self, name: str) -> Bucket: ...

    async def buckets(self) -> tuple[Bucket, ...]:
        """All, ordered by name, but the gateway's own."""
        ...

    async def tag_bucket(self, name: str, tags: Mapping[str, str]) -> None:
        """Replace its tags."""
        ...

    async def remove_bucket(self, name: str) -> None:
        """With everything in it. Raises Forbidden for the gateway's own."""
        ...

    async def put(
        self,
        bucket: str,
        key: str,
        body: AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        mark: str = "",
    ) -> StoredObject:
        """Store all of `body` or nothing; durable and visible when it returns. `mark` goes into the metadata.
        Raises TooLarge."""
        ...

    async def stat(self, bucket: str, key: str) -> StoredObject: ...

    def read(self, bucket: str, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`. Raises NotFound at the first step."""
        ...

    async def remove(self, bucket: str, key: str) -> None:
        """Also when it is not there."""
        ...

    async def list(self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> Listing:
        """Objects whose key begins with `prefix` and comes after `after`, ordered by key. Their marks may be
        missing: `stat` has them."""
        ...

    def walk(self, bucket: str, *, prefix: str = "") -> AsyncGenerator[tuple[StoredObject, ...], None]:
        """All of `list`, page by page: the way through many. Objects that come or go meanwhile may be missing
        or there. Raises NotFound at the first step."""
        ...

    async def begin_upload(
        self, bucket: str, key: str, *, content_type: str = "application/octet-stream", mark: str = ""
    ) -> str:
        """An id for parts that others put by presigned links; nothing is seen of it until it is complete."""
        ...

    async def complete_upload(
        self, bucket: str, key: str, upload: str, parts: Sequence[tuple[int, str]]
    ) -> StoredObject:
        """The object made of these parts (number, eTag), by number; all but the last have at least 5 MiB.
        Raises NotFound for an upload that is over, Invalid for parts that do not fit, TooLarge. Completed
        again it is over, or told of again, as the store has it."""
        ...

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Its parts go. Also when it is over."""
        ...

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
        """A URL that does this one thing until then, without any other credential; `headers` must come along
        with it. `inside`: at the address this process itself reaches the store by, for our own pods; else at
        the one for clients."""
        ...

    def presign_part(self, bucket: str, key: str, part: UploadPart, *, expires_s: int, now: datetime) -> str:
        """A URL that puts this part, `inside`."""
        ...

    async def watch(self, bucket: str, prefixes: Collection[str]) -> None:
        """Have the store tell `POST /events` of every object created below these prefixes, and on our behalf
        of no others. Idempotent; makes good what somebody else has undone. Nothing to do for a store that
        tells of everything, or was not given a target to tell."""
        ...

    async def resumed(self) -> None:
        """Returns when the store was away and is back, so that notices may be lost which it owed. Never where
        that cannot be."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable or StorageFull with the reason."""
        ...
