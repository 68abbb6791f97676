"""Operations that list objects: ListObjects, versions 1 and 2.

They differ in how a client says where to go on.
"""

import base64
import binascii
from collections.abc import Callable

from starlette.responses import Response

from gateway.backends.objects.embedded.face.answers import quoted, timestamp, url_encoded, xml
from gateway.backends.objects.embedded.face.buckets import owner
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.listing import Page
from gateway.backends.objects.embedded.version import Version
from gateway.backends.objects.markup import element

KEYS_LIMIT = 1000


async def list_objects(call: Call) -> Response:
    if call.request.query.get("list-type") == "2":
        return await _version_2(call)
    return await _version_1(call)


async def _version_1(call: Call) -> Response:
    encode = encoding(call)
    marker = call.request.query.get("marker", "")
    page = await _page(call, after=marker)
    more = [element("NextMarker", encode(page.next_after))] if page.next_after else []
    return xml(
        "ListBucketResult",
        element("Marker", encode(marker)),
        *more,
        *_common(call, page, encode),
        *_found(call, page, encode, owned=True),
    )


async def _version_2(call: Call) -> Response:
    encode = encoding(call)
    query = call.request.query
    token, start_after = query.get("continuation-token", ""), query.get("start-after", "")
    page = await _page(call, after=_read_token(token) if token else start_after)
    more = [element("NextContinuationToken", _token(page.next_after))] if page.next_after else []
    return xml(
        "ListBucketResult",
        element("KeyCount", len(page.versions) + len(page.prefixes)),
        *([element("ContinuationToken", token)] if token else []),
        *([element("StartAfter", encode(start_after))] if start_after else []),
        *more,
        *_common(call, page, encode),
        *_found(call, page, encode, owned=query.get("fetch-owner") == "true"),
    )


async def _page(call: Call, *, after: str) -> Page:
    query = call.request.query
    return await call.store.page(
        call.bucket,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=after,
        limit=_limit(call),
    )


def _limit(call: Call) -> int:
    return call.request.whole_number("max-keys", default=KEYS_LIMIT, most=KEYS_LIMIT)


def encoding(call: Call) -> Callable[[str], str]:
    wanted = call.request.query.get("encoding-type", "")
    if wanted not in ("", "url"):
        raise S3Error("InvalidArgument", "encoding-type can be url only")
    return url_encoded if wanted else str


def _common(call: Call, page: Page, encode: Callable[[str], str]) -> list[str]:
    query = call.request.query
    delimiter = query.get("delimiter", "")
    return [
        element("Name", call.bucket),
        element("Prefix", encode(query.get("prefix", ""))),
        element("MaxKeys", _limit(call)),
        *([element("Delimiter", encode(delimiter))] if delimiter else []),
        *([element("EncodingType", "url")] if encode is url_encoded else []),
        element("IsTruncated", "true" if page.next_after else "false"),
    ]


def _found(call: Call, page: Page, encode: Callable[[str], str], *, owned: bool) -> list[str]:
    whose = [owner(call)] if owned else []
    contents = [element("Contents", *_entry(version, encode), *whose) for version in page.versions]
    prefixes = [element("CommonPrefixes", element("Prefix", encode(prefix))) for prefix in page.prefixes]
    return contents + prefixes


def _entry(version: Version, encode: Callable[[str], str]) -> list[str]:
    return [
        element("Key", encode(version.key)),
        element("LastModified", timestamp(version.modified_at)),
        element("ETag", quoted(version.etag)),
        element("Size", version.size_bytes),
        element("StorageClass", "STANDARD"),
    ]


def _token(last: str) -> str:
    """Opaque to clients: the last key or prefix of the page."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise S3Error("InvalidArgument", "the continuation token is not one of ours") from None
