"""Routes: which operation a request asks for.

S3 tells them apart by method, by what the path names, and by the query.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from gateway.backends.objects.embedded.face import buckets, copies, listings, multipart, objects
from gateway.backends.objects.embedded.face.calls import Call
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.requests import S3Request

Operation = Callable[[Call], Awaitable[Response]]

_WORDS = """
accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold
lifecycle location logging metadataTable metrics notification object-lock ownershipControls
partNumber policy policyStatus publicAccessBlock renameObject replication requestPayment restore
retention select session tagging torrent uploadId uploads versioning versions website
"""
SUBRESOURCES = frozenset(_WORDS.split())
"""The words in a query that make it another operation. Those without a route are answered 501."""

_SERVICE: Mapping[tuple[str, str], Operation] = {("GET", ""): buckets.list_buckets}

_BUCKET: Mapping[tuple[str, str], Operation] = {
    ("GET", ""): listings.list_objects,
    ("PUT", ""): buckets.create_bucket,
    ("HEAD", ""): buckets.head_bucket,
    ("DELETE", ""): buckets.delete_bucket,
    ("GET", "location"): buckets.get_location,
    ("GET", "versioning"): buckets.get_versioning,
    ("GET", "tagging"): buckets.get_tagging,
    ("PUT", "tagging"): buckets.put_tagging,
    ("DELETE", "tagging"): buckets.delete_tagging,
    ("GET", "uploads"): multipart.list_uploads,
    ("POST", "delete"): objects.delete_objects,
}

_OBJECT: Mapping[tuple[str, str], Operation] = {
    ("PUT", ""): objects.put_object,
    ("GET", ""): objects.get_object,
    ("HEAD", ""): objects.head_object,
    ("DELETE", ""): objects.delete_object,
    ("POST", "uploads"): multipart.begin_upload,
    ("PUT", "uploadId"): multipart.put_part,
    ("POST", "uploadId"): multipart.complete_upload,
    ("DELETE", "uploadId"): multipart.abort_upload,
    ("GET", "uploadId"): multipart.list_parts,
}

_COPY: Mapping[tuple[str, str], Operation] = {
    ("PUT", ""): copies.copy_object,
    ("PUT", "uploadId"): copies.copy_part,
}


def find_operation(request: S3Request) -> Operation:
    """Raises S3Error NotImplemented."""
    words = request.query.keys() & SUBRESOURCES
    if "uploadId" in words:
        words -= {"partNumber"}
    operation = _table(request).get((request.method, "".join(words))) if len(words) <= 1 else None
    if operation is None or request.query.get("versionId", "null") not in ("", "null"):
        raise S3Error("NotImplemented", "the store has no such operation")
    return operation


def _table(request: S3Request) -> Mapping[tuple[str, str], Operation]:
    if not request.bucket:
        return _SERVICE
    if not request.key:
        return _BUCKET
    return _COPY if request.header("x-amz-copy-source") else _OBJECT
