"""Buckets: made with OSCAR's tags, listed with them, emptied and removed."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from gateway.backends.objects.markup import document, element
from gateway.backends.objects.protocol import Bucket
from gateway.backends.objects.refusals import BucketMissing, BucketNotEmpty, UploadMissing
from gateway.backends.objects.s3.connection import Connection
from gateway.backends.objects.s3.listing import walk_versions
from gateway.backends.objects.s3.refusals import RETRY_S, BucketTaken, NoSuchTags, NotOffered
from gateway.backends.objects.s3.uploads import abort_upload
from gateway.domain.problems import Unavailable

TAGS_AT_ONCE = 8
REMOVALS = 5
"""Rounds of emptying a bucket that others may go on filling."""

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that a key may have and XML may not."""


async def make_bucket(connection: Connection, name: str, *, tags: Mapping[str, str]) -> bool:
    """See `Objects.make_bucket`. A bucket that could not be tagged is not left behind."""
    if await has_bucket(connection, name):
        return False
    try:
        await connection.send("PUT", name, body=_configuration(connection.store.region))
    except BucketTaken:
        return False
    try:
        if tags:
            await tag_bucket(connection, name, tags)
    except BaseException:
        await connection.send("DELETE", name)
        raise
    return True


async def has_bucket(connection: Connection, name: str) -> bool:
    """Raises Unavailable, also where it may not be asked."""
    try:
        await connection.ask("GET", name, query={"list-type": "2", "max-keys": "1"})
    except BucketMissing:
        return False
    return True


async def tag_bucket(connection: Connection, name: str, tags: Mapping[str, str]) -> None:
    """Replace its tags. Raises NotFound, Invalid for what the store cannot keep."""
    listed = [element("Tag", element("Key", key), element("Value", value)) for key, value in tags.items()]
    body = document("Tagging", element("TagSet", *listed))
    await connection.send("PUT", name, query={"tagging": ""}, headers=_md5(body), body=body)


async def find_bucket(connection: Connection, name: str) -> Bucket:
    """Raises NotFound."""
    tags = await _tags(connection, name)
    created = await _created(connection)
    if name not in created:
        raise BucketMissing(name)
    return Bucket(name, created[name], tags)


async def all_buckets(connection: Connection, *, without: Collection[str]) -> tuple[Bucket, ...]:
    """Ordered by name. One that goes meanwhile is left out."""
    created = await _created(connection)
    free = asyncio.Semaphore(TAGS_AT_ONCE)

    async def tagged(name: str) -> Bucket | None:
        async with free:
            try:
                return Bucket(name, created[name], await _tags(connection, name))
            except BucketMissing:
                return None

    found = await asyncio.gather(*(tagged(name) for name in sorted(created) if name not in without))
    return tuple(bucket for bucket in found if bucket is not None)


async def remove_bucket(connection: Connection, name: str) -> None:
    """With every version of everything in it. Raises NotFound, Conflict if it is filled again and again."""
    for _ in range(REMOVALS):
        async for versions in walk_versions(connection, name):
            await _delete(connection, name, versions)
        await _abort_uploads(connection, name)
        try:
            await connection.send("DELETE", name)
        except BucketNotEmpty:
            continue
        return
    raise BucketNotEmpty(name)


async def _delete(connection: Connection, name: str, versions: Sequence[tuple[str, str]]) -> None:
    for key, version in versions:
        if _NO_XML.search(key):
            query = {"versionId": version} if version else {}
            await connection.send("DELETE", name, key, query=query)
    listed = [
        element("Object", element("Key", key), *([element("VersionId", version)] if version else ()))
        for key, version in versions
        if not _NO_XML.search(key)
    ]
    if not listed:
        return
    body = document("Delete", element("Quiet", "true"), *listed)
    told = await connection.ask("POST", name, query={"delete": ""}, headers=_md5(body), body=body)
    if errors := told.all("Error"):
        code = errors[0].value("Code") or "an error"
        raise Unavailable(f"the object store kept {len(errors)} objects: {code}", retry_after_s=RETRY_S)


async def _abort_uploads(connection: Connection, name: str) -> None:
    """MinIO removes a bucket with unfinished uploads, others do not."""
    try:
        told = await connection.ask("GET", name, query={"uploads": ""})
    except NotOffered:
        return
    for upload in told.all("Upload"):
        try:
            await abort_upload(connection, name, upload.value("Key") or "", upload.value("UploadId") or "")
        except UploadMissing:
            continue


async def _tags(connection: Connection, name: str) -> dict[str, str]:
    try:
        root = await connection.ask("GET", name, query={"tagging": ""})
    except NoSuchTags:
        return {}
    tags = (tag for each in root.all("TagSet") for tag in each.all("Tag"))
    return {tag.value("Key") or "": tag.value("Value") or "" for tag in tags}


async def _created(connection: Connection) -> dict[str, datetime]:
    """When each bucket was made."""
    root = await connection.ask("GET")
    listed = [bucket for each in root.all("Buckets") for bucket in each.all("Bucket")]
    try:
        return {bucket.value("Name") or "": _moment(bucket.value("CreationDate") or "") for bucket in listed}
    except ValueError as error:
        raise Unavailable("the object store's buckets cannot be read", retry_after_s=RETRY_S) from error


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _configuration(region: str) -> bytes:
    """Amazon wants it for every region but its first, where it must not stand."""
    if region == "us-east-1":
        return b""
    return document("CreateBucketConfiguration", element("LocationConstraint", region))


def _md5(body: bytes) -> dict[str, str]:
    """What S3 demands with these bodies."""
    return {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}
