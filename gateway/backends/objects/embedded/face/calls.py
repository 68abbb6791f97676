"""A call: an authenticated request to the store, as operations see it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.backends.objects.embedded.face.authentication import Identity
from gateway.backends.objects.embedded.face.bodies import payload, read_document
from gateway.backends.objects.embedded.face.requests import S3Request
from gateway.backends.objects.embedded.notices import EventName, Origin
from gateway.backends.objects.embedded.store import EmbeddedObjects
from gateway.backends.objects.markup import Node


@dataclass(frozen=True, slots=True)
class Call:
    store: EmbeddedObjects
    request: S3Request
    identity: Identity

    @property
    def bucket(self) -> str:
        return self.request.bucket

    @property
    def key(self) -> str:
        return self.request.key

    def payload(self) -> AsyncIterator[bytes]:
        """See `bodies.payload`."""
        return payload(self.request, self.identity)

    async def document(self, root: str, *, limit_bytes: int = 1 << 20) -> Node:
        """See `bodies.read_document`."""
        return await read_document(self.request, self.identity, root=root, limit_bytes=limit_bytes)

    def origin(self, event: EventName) -> Origin:
        """Who creates an object by this call, for its notice."""
        client = self.request.http.client
        return Origin(
            event=event,
            address=client.host if client else "",
            port=str(client.port) if client else "",
            user_agent=self.request.header("user-agent"),
            request_id=self.request.id,
        )
