"""What a launcher needs of the object store. Any store of the objects role satisfies it; roles do not import
each other."""

from collections.abc import AsyncIterator
from typing import Protocol

from gateway.domain.event import StoredObject


class Store(Protocol):
    """Every method raises Unavailable, StorageFull, and NotFound for a bucket or object that is not there."""

    def read(self, bucket: str, key: str) -> AsyncIterator[bytes]: ...

    async def stat(self, bucket: str, key: str) -> StoredObject: ...

    async def put(
        self, bucket: str, key: str, body: AsyncIterator[bytes], *, content_type: str = ..., mark: str = ...
    ) -> StoredObject: ...
