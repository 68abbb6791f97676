"""A body: bytes that are there, or a stream of them that is read once."""

from collections.abc import AsyncIterator

Body = bytes | AsyncIterator[bytes]
"""A body that came in one piece stays one: most do, and then nobody waits and nothing is copied."""


async def pieces_of(body: Body) -> AsyncIterator[bytes]:
    """Either kind as a stream, without empty pieces."""
    if isinstance(body, bytes):
        if body:
            yield body
        return
    async for piece in body:
        if piece:
            yield piece
