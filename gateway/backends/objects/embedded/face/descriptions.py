"""Descriptions on the wire: an object's content type, standard headers and metadata, both ways."""

from collections.abc import Mapping

from gateway.backends.objects.embedded.face.conditions import http_date
from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.requests import S3Request
from gateway.backends.objects.embedded.version import Description, Version

METADATA_PREFIX = "x-amz-meta-"
METADATA_LIMIT_BYTES = 8 << 10

_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_OVERRIDES = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)


def read_description(request: S3Request) -> Description:
    """What an upload says of its object.

    Raises S3Error for too much of it, or for encryption, which there is none of.
    """
    headers = request.http.headers
    if any(name.startswith("x-amz-server-side-encryption") for name in headers):
        raise S3Error("NotImplemented", "the store does not encrypt")
    metadata = {
        name.removeprefix(METADATA_PREFIX): ",".join(headers.getlist(name))
        for name in headers
        if name.startswith(METADATA_PREFIX)
    }
    kept = {name: _kept(name, headers[name]) for name in _KEPT if name in headers}
    if (
        sum(len(name) + len(value) for name, value in [*metadata.items(), *kept.items()])
        > METADATA_LIMIT_BYTES
    ):
        raise S3Error("MetadataTooLarge", f"metadata may have {METADATA_LIMIT_BYTES} bytes")
    return Description(
        content_type=headers.get("content-type") or "binary/octet-stream",
        headers={name: value for name, value in kept.items() if value},
        metadata=metadata,
    )


def object_headers(version: Version) -> dict[str, str]:
    """The headers of an answer that is about this version."""
    described = version.description
    return {
        "etag": f'"{version.etag}"',
        "last-modified": http_date(version),
        "accept-ranges": "bytes",
        "content-type": described.content_type,
        **described.headers,
        **{METADATA_PREFIX + name: value for name, value in described.metadata.items()},
    }


def overrides(query: Mapping[str, str]) -> dict[str, str]:
    """The headers that a GET's `response-*` wants answered instead.

    Raises S3Error for what no header may hold.
    """
    wanted = {name: query[f"response-{name}"] for name in _OVERRIDES if f"response-{name}" in query}
    for name, value in wanted.items():
        if not value.isprintable() or not value.isascii():
            raise S3Error("InvalidArgument", f"response-{name} cannot be a header")
    return wanted


def _kept(name: str, value: str) -> str:
    """`aws-chunked` is an encoding of the transfer, not of the object."""
    if name != "content-encoding":
        return value
    return ", ".join(
        each for each in (part.strip() for part in value.split(",")) if each and each != "aws-chunked"
    )
