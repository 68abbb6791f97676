"""Operations that copy: an object to another key, or a stretch of one into a part of an upload."""

from contextlib import aclosing
from urllib.parse import unquote_to_bytes

from starlette.responses import Response

from gateway.backends.objects.embedded.face.answers import quoted, timestamp, xml
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.conditions import require_copyable, write_guard
from gateway.backends.objects.embedded.face.descriptions import read_description
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.multipart import find_upload, part_number
from gateway.backends.objects.embedded.face.ranges import parse_range
from gateway.backends.objects.embedded.store import Reading
from gateway.backends.objects.embedded.version import moment
from gateway.backends.objects.markup import element
from gateway.backends.objects.protocol import OWN_BUCKET


async def copy_object(call: Call) -> Response:
    """With its metadata, or with the request's (`x-amz-metadata-directive: REPLACE`)."""
    directive = call.request.header("x-amz-metadata-directive", "COPY")
    if directive not in ("COPY", "REPLACE"):
        raise S3Error("InvalidArgument", "x-amz-metadata-directive is COPY or REPLACE")
    source = await _source(call)
    of = source.version
    if directive == "COPY" and (of.bucket, of.key) == (call.bucket, call.key):
        raise S3Error("InvalidRequest", "a copy onto itself must replace the metadata")
    version = await call.store.copy(
        source,
        call.bucket,
        call.key,
        description=read_description(call.request) if directive == "REPLACE" else of.description,
        origin=call.origin("s3:ObjectCreated:Copy"),
        guard=write_guard(call.request),
    )
    return xml(
        "CopyObjectResult",
        element("LastModified", timestamp(version.modified_at)),
        element("ETag", quoted(version.etag)),
    )


async def copy_part(call: Call) -> Response:
    source = await _source(call)
    size = source.version.size_bytes
    wanted = parse_range(call.request.header("x-amz-copy-source-range"), size_bytes=size)
    start, end = wanted or (0, size)
    number = part_number(call)
    upload = await find_upload(call)
    async with aclosing(source.chunks(start, end)) as chunks:
        part = await call.store.uploads.put_part(upload, number, chunks)
    return xml(
        "CopyPartResult",
        element("LastModified", timestamp(moment(part.modified_ms))),
        element("ETag", quoted(part.etag)),
    )


async def _source(call: Call) -> Reading:
    """What `x-amz-copy-source` names, held until the answer is sent."""
    path, _, version = call.request.header("x-amz-copy-source").partition("?versionId=")
    try:
        bucket, _, key = unquote_to_bytes(path).decode().removeprefix("/").partition("/")
    except UnicodeDecodeError:
        bucket = key = ""
    if not bucket or not key or version not in ("", "null"):
        raise S3Error("InvalidArgument", "x-amz-copy-source must name a bucket and a key, percent-encoded")
    if bucket == OWN_BUCKET:
        raise S3Error("AccessDenied", "the bucket is the gateway's own")
    reading = await call.request.held.enter_async_context(call.store.reading(bucket, key))
    require_copyable(call.request, reading.version)
    return reading
