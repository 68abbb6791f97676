"""The mark our jobs leave on the objects they write, so that a service is never triggered by its own
output.

It travels in the object's metadata under `METADATA_KEY`, and holds for the place it was written to only: a
copy made by somebody to another key is a new file and triggers like any other.
"""

import hashlib

METADATA_KEY = "oscar-gateway-mark"


def mark(*, service_uid: str, job: str, bucket: str, key: str) -> str:
    """`<service uid> <job> <place>`: ASCII, at most 200 characters."""
    return f"{service_uid} {job} {_place(bucket, key)}"


def written_by(mark_text: str, *, service_uid: str, bucket: str, key: str) -> bool:
    """Whether an object at this place with this mark was written there by a job of this service."""
    writer, _, rest = mark_text.partition(" ")
    return writer == service_uid and rest.endswith(" " + _place(bucket, key))


def _place(bucket: str, key: str) -> str:
    return hashlib.sha256(f"{bucket}/{key}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
