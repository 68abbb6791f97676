"""Operations on objects: put, get, head, delete one or many."""

from starlette.responses import Response, StreamingResponse

from gateway.backends.objects.embedded.face.answers import empty, quoted, xml
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.conditions import require_readable, write_guard
from gateway.backends.objects.embedded.face.descriptions import object_headers, overrides, read_description
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.ranges import parse_range
from gateway.backends.objects.embedded.store import Reading
from gateway.backends.objects.embedded.version import Version
from gateway.backends.objects.markup import element
from gateway.backends.objects.names import key_bytes
from gateway.backends.objects.refusals import KeyInvalid

DELETED_LIMIT = 1000


async def put_object(call: Call) -> Response:
    version = await call.store.write(
        call.bucket,
        call.key,
        call.payload(),
        description=read_description(call.request),
        origin=call.origin("s3:ObjectCreated:Put"),
        guard=write_guard(call.request),
    )
    return empty(200, {"etag": quoted(version.etag)})


async def get_object(call: Call) -> Response:
    """The whole object, or one range of it."""
    reading = await _reading(call)
    changed = overrides(call.request.query)
    start, end, status, headers = _extent(call, reading.version)
    return StreamingResponse(reading.chunks(start, end), status, headers | changed)


async def head_object(call: Call) -> Response:
    """What `get_object` would say, without the bytes."""
    reading = await _reading(call)
    changed = overrides(call.request.query)
    _, _, status, headers = _extent(call, reading.version)
    return Response(status_code=status, headers=headers | changed)


async def delete_object(call: Call) -> Response:
    """Also when it is not there."""
    await call.store.delete(call.bucket, [call.key], guard=write_guard(call.request))
    return empty()


async def delete_objects(call: Call) -> Response:
    """Those that can be named; the rest is told one by one."""
    document = await call.document("Delete", limit_bytes=2 << 20)
    keys = [node.value("Key") or "" for node in document.all("Object")]
    if not 1 <= len(keys) <= DELETED_LIMIT:
        raise S3Error("MalformedXML", f"1 to {DELETED_LIMIT} objects can be deleted at once")
    good = [key for key in keys if _nameable(key)]
    await call.store.delete(call.bucket, good)
    quiet = (document.value("Quiet") or "").strip().lower() == "true"
    deleted = [] if quiet else [element("Deleted", element("Key", key)) for key in good]
    refused = [_refused(key) for key in keys if not _nameable(key)]
    return xml("DeleteResult", *deleted, *refused)


async def _reading(call: Call) -> Reading:
    """The object, held until the answer is sent, if the request's conditions let it be read."""
    reading = await call.request.held.enter_async_context(call.store.reading(call.bucket, call.key))
    require_readable(call.request, reading.version)
    return reading


def _extent(call: Call, version: Version) -> tuple[int, int, int, dict[str, str]]:
    """Start, end, status and headers of the answer."""
    headers = object_headers(version)
    size = version.size_bytes
    wanted = (
        parse_range(call.request.header("range"), size_bytes=size) if _range_applies(call, headers) else None
    )
    start, end = wanted or (0, size)
    headers["content-length"] = str(end - start)
    if wanted:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return start, end, 206 if wanted else 200, headers


def _range_applies(call: Call, headers: dict[str, str]) -> bool:
    """If-Range: who goes on with a download wants all of it if the object is another one by now."""
    same = call.request.header("if-range")
    return not same or same in (headers["etag"], headers["last-modified"])


def _nameable(key: str) -> bool:
    try:
        key_bytes(key)
    except KeyInvalid:
        return False
    return True


def _refused(key: str) -> str:
    return element(
        "Error", element("Key", key), element("Code", "KeyTooLongError"), element("Message", "no key")
    )
