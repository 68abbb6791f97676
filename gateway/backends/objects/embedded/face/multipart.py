"""Operations on multipart uploads: begin, put a part, complete, abort, list."""

from collections.abc import Callable

from starlette.responses import Response

from gateway.backends.objects.embedded.face.answers import empty, quoted, timestamp, xml
from gateway.backends.objects.embedded.face.buckets import owner
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.conditions import write_guard
from gateway.backends.objects.embedded.face.descriptions import read_description
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.listings import encoding
from gateway.backends.objects.embedded.upload_rows import Part, Upload
from gateway.backends.objects.embedded.version import moment
from gateway.backends.objects.markup import Node, element

PARTS_LIMIT = 10_000
LISTED_LIMIT = 1000


async def begin_upload(call: Call) -> Response:
    upload = await call.store.uploads.begin(call.bucket, call.key, read_description(call.request))
    return xml("InitiateMultipartUploadResult", *_named(upload))


async def put_part(call: Call) -> Response:
    number = part_number(call)
    part = await call.store.uploads.put_part(await find_upload(call), number, call.payload())
    return empty(200, {"etag": quoted(part.etag)})


async def complete_upload(call: Call) -> Response:
    document = await call.document("CompleteMultipartUpload", limit_bytes=2 << 20)
    chosen = [_chosen(node) for node in document.all("Part")]
    if not 1 <= len(chosen) <= PARTS_LIMIT:
        raise S3Error("MalformedXML", f"an object is made of 1 to {PARTS_LIMIT} parts")
    version = await call.store.uploads.complete(
        await find_upload(call),
        chosen,
        origin=call.origin("s3:ObjectCreated:CompleteMultipartUpload"),
        guard=write_guard(call.request),
    )
    return xml(
        "CompleteMultipartUploadResult",
        element("Location", f"{call.store.provider.endpoint}/{call.bucket}/{call.key}"),
        element("Bucket", call.bucket),
        element("Key", call.key),
        element("ETag", quoted(version.etag)),
    )


async def abort_upload(call: Call) -> Response:
    await call.store.uploads.abort(await find_upload(call))
    return empty()


async def list_parts(call: Call) -> Response:
    upload = await find_upload(call)
    after = call.request.whole_number("part-number-marker", default=0, most=PARTS_LIMIT)
    limit = call.request.whole_number("max-parts", default=LISTED_LIMIT, most=LISTED_LIMIT)
    found = await call.store.uploads.parts(upload, after=after, limit=limit + 1)
    parts, more = found[:limit], len(found) > limit
    return xml(
        "ListPartsResult",
        *_named(upload),
        owner(call),
        element("PartNumberMarker", after),
        *([element("NextPartNumberMarker", parts[-1].number)] if parts else []),
        element("MaxParts", limit),
        element("IsTruncated", "true" if more else "false"),
        *(_listed_part(part) for part in parts),
    )


async def list_uploads(call: Call) -> Response:
    """Without a delimiter: those in flight are few, and nobody browses them."""
    query = call.request.query
    encode = encoding(call)
    if query.get("delimiter"):
        raise S3Error("NotImplemented", "uploads are listed without a delimiter")
    prefix, key, upload_id = (query.get(name, "") for name in ("prefix", "key-marker", "upload-id-marker"))
    limit = call.request.whole_number("max-uploads", default=LISTED_LIMIT, least=1, most=LISTED_LIMIT)
    # Without an id everything of the key itself is behind the marker too; no id begins with this.
    after = (key, upload_id or "\x7f")
    found = await call.store.uploads.page(call.bucket, prefix=prefix, after=after, limit=limit + 1)
    uploads, more = found[:limit], len(found) > limit
    return xml(
        "ListMultipartUploadsResult",
        element("Bucket", call.bucket),
        element("KeyMarker", encode(key)),
        element("UploadIdMarker", upload_id),
        *(_next_markers(uploads[-1], encode) if more else []),
        element("Prefix", encode(prefix)),
        element("MaxUploads", limit),
        element("IsTruncated", "true" if more else "false"),
        *(element("Upload", *_listed_upload(upload, encode(upload.key))) for upload in uploads),
    )


def part_number(call: Call) -> int:
    """Raises S3Error."""
    number = call.request.whole_number("partNumber", default=0, most=PARTS_LIMIT + 1)
    if not 1 <= number <= PARTS_LIMIT:
        raise S3Error("InvalidArgument", f"partNumber must be 1 to {PARTS_LIMIT}")
    return number


async def find_upload(call: Call) -> Upload:
    """The upload that the query names. Raises UploadMissing."""
    return await call.store.uploads.find(call.bucket, call.key, call.request.query["uploadId"])


def _chosen(node: Node) -> tuple[int, str]:
    number = (node.value("PartNumber") or "").strip()
    if not (
        number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= PARTS_LIMIT and len(number) <= 6
    ):
        raise S3Error("MalformedXML", "a part has no number")
    return int(number), (node.value("ETag") or "").strip().strip('"')


def _named(upload: Upload) -> list[str]:
    return [element("Bucket", upload.bucket), element("Key", upload.key), element("UploadId", upload.id)]


def _listed_part(part: Part) -> str:
    return element(
        "Part",
        element("PartNumber", part.number),
        element("LastModified", timestamp(moment(part.modified_ms))),
        element("ETag", quoted(part.etag)),
        element("Size", part.segment.size_bytes),
    )


def _next_markers(last: Upload, encode: Callable[[str], str]) -> list[str]:
    return [element("NextKeyMarker", encode(last.key)), element("NextUploadIdMarker", last.id)]


def _listed_upload(upload: Upload, key: str) -> list[str]:
    return [
        element("Key", key),
        element("UploadId", upload.id),
        element("StorageClass", "STANDARD"),
        element("Initiated", timestamp(moment(upload.begun_ms))),
    ]
