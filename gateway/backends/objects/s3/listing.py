"""Listing: a bucket's objects in key order, page by page, in the one form both of S3's listings come down to.

Marks are not part of it: no S3 lists metadata.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from gateway.backends.objects.markup import Node
from gateway.backends.objects.protocol import Listing
from gateway.backends.objects.s3.connection import Connection
from gateway.backends.objects.s3.refusals import RETRY_S, NotOffered
from gateway.domain.event import StoredObject
from gateway.domain.problems import Unavailable

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """`onward` is the query that gives the next one; None at the end."""

    objects: tuple[StoredObject, ...]
    onward: Mapping[str, str] | None = None
    others: tuple[tuple[str, str], ...] = field(default=())
    """Key and version id of what is not the latest version of an object: older ones and deletions."""


async def list_page(
    connection: Connection, bucket: str, *, prefix: str = "", after: str = "", limit: int = PAGE
) -> Listing:
    """See `Objects.list`."""
    if await is_versioned(connection, bucket):
        query = {"versions": "", "key-marker": after}
    else:
        query = {"list-type": "2", "start-after": after}
    asked = {name: value for name, value in query.items() if value or name != "key-marker"}
    found: list[StoredObject] = []
    onward: Mapping[str, str] | None = _first(prefix, asked, limit)
    while onward is not None and len(found) < limit:
        page = await _page(connection, bucket, onward)
        found += page.objects
        onward = page.onward
    more = onward is not None or len(found) > limit
    return Listing(tuple(found[:limit]), found[limit - 1].key if more and found else None)


async def walk(
    connection: Connection, bucket: str, *, prefix: str = ""
) -> AsyncGenerator[tuple[StoredObject, ...], None]:
    """See `Objects.walk`. Goes on by the store's own tokens: MinIO would search anew for every key named. The
    next page is on its way while one is worked on."""
    kind = {"versions": ""} if await is_versioned(connection, bucket) else {"list-type": "2"}
    coming = asyncio.create_task(_page(connection, bucket, _first(prefix, kind, PAGE)))
    try:
        while True:
            page = await coming
            if page.onward is not None:
                coming = asyncio.create_task(_page(connection, bucket, page.onward))
            yield page.objects
            if page.onward is None:
                return
    finally:
        coming.cancel()
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()  # what broke behind a page that nobody asks for is nobody's


async def walk_versions(connection: Connection, bucket: str) -> AsyncIterator[tuple[tuple[str, str], ...]]:
    """Key and version id (empty where there is none) of everything in the bucket."""
    onward: Mapping[str, str] | None = _first("", {"versions": ""}, PAGE)
    while onward is not None:
        try:
            page = await _page(connection, bucket, onward)
        except NotOffered:
            onward = _first("", {"list-type": "2"}, PAGE)
            continue
        yield (*((each.key, each.version) for each in page.objects), *page.others)
        onward = page.onward


async def find_listed(connection: Connection, bucket: str, key: str) -> StoredObject | None:
    """The object as a listing has it: only there is its time told to the millisecond. None if it is not
    listed, as MinIO does not list what is below another object's key."""
    page = await _page(connection, bucket, _first(key, {"list-type": "2"}, 1))
    return next((each for each in page.objects if each.key == key), None)


async def is_versioned(connection: Connection, bucket: str) -> bool:
    """Whether its objects have version ids, or had. Raises NotFound for the bucket."""
    try:
        told = await connection.ask("GET", bucket, query={"versioning": ""})
    except NotOffered:
        return False
    return told.value("Status") in ("Enabled", "Suspended")


def _first(prefix: str, query: Mapping[str, str], limit: int) -> dict[str, str]:
    return {**query, "prefix": prefix, "max-keys": str(limit), "encoding-type": "url"}


async def _page(connection: Connection, bucket: str, query: Mapping[str, str]) -> Page:
    root = await connection.ask("GET", bucket, query=query)
    # A page is some milliseconds of reading: other requests need not wait for it.
    return await asyncio.to_thread(_read_page, bucket, root, query)


def _read_page(bucket: str, root: Node, query: Mapping[str, str]) -> Page:
    decode = unquote_plus if root.value("EncodingType") == "url" else _plain
    objects: list[StoredObject] = []
    others: list[tuple[str, str]] = []
    for node in root.children:
        if node.name not in ("Contents", "Version", "DeleteMarker"):
            continue
        key = decode(_text(node, "Key"))
        if node.name == "Contents" or (node.name == "Version" and node.value("IsLatest") == "true"):
            objects.append(_stored(bucket, key, node))
        else:
            others.append((key, node.value("VersionId") or ""))
    return Page(tuple(objects), _onward(root, query, decode), tuple(others))


def _onward(root: Node, query: Mapping[str, str], decode: Callable[[str], str]) -> Mapping[str, str] | None:
    if root.value("IsTruncated") != "true":
        return None
    if "versions" not in query:
        return {**query, "continuation-token": _text(root, "NextContinuationToken")}
    markers = {"key-marker": decode(_text(root, "NextKeyMarker"))}
    if version := root.value("NextVersionIdMarker"):
        markers["version-id-marker"] = version
    return {**query, **markers}


def _stored(bucket: str, key: str, node: Node) -> StoredObject:
    version = node.value("VersionId") or ""
    try:
        modified_at = datetime.fromisoformat(_text(node, "LastModified")).astimezone(UTC)
        size_bytes = int(_text(node, "Size"))
    except ValueError as error:
        raise Unavailable("the object store's listing cannot be read", retry_after_s=RETRY_S) from error
    return StoredObject(
        bucket=bucket,
        key=key,
        etag=(node.value("ETag") or "").strip('"'),
        modified_at=modified_at.replace(microsecond=modified_at.microsecond // 1000 * 1000),
        size_bytes=size_bytes,
        version="" if version == "null" else version,
    )


def _plain(text: str) -> str:
    return text


def _text(node: Node, name: str) -> str:
    text = node.value(name)
    if text is None:
        raise Unavailable(f"the object store's listing has no {name}", retry_after_s=RETRY_S)
    return text
