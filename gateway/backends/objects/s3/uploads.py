"""Uploads: a body of unknown length becomes one object, whole or not at all, with one part in memory.

What fits into one part is put in one request, the rest as a multipart upload, which shows nothing until it is
complete. One left by a kill is the store's to drop: see docs/object-stores.md.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

import structlog

from gateway.backends.objects.markup import document, element
from gateway.backends.objects.s3.connection import Connection
from gateway.backends.objects.s3.refusals import RETRY_S
from gateway.domain.mark import METADATA_KEY
from gateway.domain.parted import PARTS_LIMIT, part_bytes
from gateway.domain.problems import Problem, TooLarge, Unavailable

ABORT_S = 10.0

log = structlog.get_logger(__name__)


def describing(content_type: str, mark: str) -> dict[str, str]:
    """The headers that describe an object."""
    marked = {f"x-amz-meta-{METADATA_KEY}": mark} if mark else {}
    return {"content-type": content_type, **marked}


async def store_body(
    connection: Connection,
    bucket: str,
    key: str,
    body: AsyncIterator[bytes],
    *,
    headers: Mapping[str, str],
    limit_bytes: int,
) -> tuple[str, int]:
    """The new object's eTag and size. Raises TooLarge, what `body` raises, and the store's refusals."""
    parts = _cut(body, limit_bytes)
    first, ended = await anext(parts)
    if ended:
        told = await connection.send("PUT", bucket, key, headers=headers, body=first)
        return told.get("ETag", "").strip('"'), len(first)
    upload = await begin_upload(connection, bucket, key, headers=headers)
    try:
        etags = [await _put_part(connection, bucket, key, upload, 1, first)]
        size_bytes = len(first)
        del first
        async for part, _ in parts:
            etags.append(await _put_part(connection, bucket, key, upload, len(etags) + 1, part))
            size_bytes += len(part)
        return await complete_upload(connection, bucket, key, upload, list(enumerate(etags, 1))), size_bytes
    except BaseException:
        await _abort(connection, bucket, key, upload)
        raise


async def begin_upload(connection: Connection, bucket: str, key: str, *, headers: Mapping[str, str]) -> str:
    """The id of a new multipart upload."""
    root = await connection.ask("POST", bucket, key, query={"uploads": ""}, headers=headers)
    upload = root.value("UploadId")
    if not upload:
        raise Unavailable("the object store began no upload", retry_after_s=RETRY_S)
    return upload


async def complete_upload(
    connection: Connection, bucket: str, key: str, upload: str, parts: Sequence[tuple[int, str]]
) -> str:
    """The eTag of the object made of these parts (number, eTag)."""
    listed = [
        element("Part", element("PartNumber", number), element("ETag", f'"{etag}"')) for number, etag in parts
    ]
    body = document("CompleteMultipartUpload", *listed)
    root = await connection.ask("POST", bucket, key, query={"uploadId": upload}, body=body)
    return (root.value("ETag") or "").strip('"')


async def abort_upload(connection: Connection, bucket: str, key: str, upload: str) -> None:
    await connection.send("DELETE", bucket, key, query={"uploadId": upload})


async def _put_part(
    connection: Connection, bucket: str, key: str, upload: str, number: int, part: bytes
) -> str:
    if number > PARTS_LIMIT:
        raise TooLarge(f"an object has at most {PARTS_LIMIT} parts")
    query = {"partNumber": str(number), "uploadId": upload}
    told = await connection.send("PUT", bucket, key, query=query, body=part)
    return told.get("ETag", "").strip('"')


async def _abort(connection: Connection, bucket: str, key: str, upload: str) -> None:
    """Also of a cancelled task: the parts would stay, unseen and paid for."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(ABORT_S):
                await abort_upload(connection, bucket, key, upload)
    except Problem as problem:
        log.warning("upload.left", bucket=bucket, key=key, why=problem.detail)


async def _cut(body: AsyncIterator[bytes], limit_bytes: int) -> AsyncIterator[tuple[bytes, bool]]:
    """Parts, and whether it is the last; at least one. Holds no more than one part and a chunk."""
    held = bytearray()
    size_bytes, number = 0, 1
    async for chunk in body:
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise TooLarge(f"an object may have {limit_bytes} bytes")
        held += chunk
        while len(held) > part_bytes(number):
            part = bytes(memoryview(held)[: part_bytes(number)])
            del held[: part_bytes(number)]
            number += 1
            yield part, False
    yield bytes(held), True
