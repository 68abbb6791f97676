"""Ids of jobs: random for requests, derived for events, so that the same event is the same job wherever it
comes from."""

import base64
import hashlib

from gateway.domain.event import StoredObject
from gateway.domain.job import JobId

TAIL = 20


def request_job_id(service: str, entropy: bytes) -> JobId:
    """A job id from at least 13 random bytes."""
    return _job_id(service, entropy)


def event_job_id(service: str, service_uid: str, stored: StoredObject) -> JobId:
    """The id of the one job that this service runs for this object version.

    Where the store keeps versions the version id identifies it, else eTag and modification time in
    milliseconds.
    """
    version = stored.version or f"{stored.etag}/{int(stored.modified_at.timestamp() * 1000)}"
    return _job_id(service, _digest(service_uid, stored.bucket, stored.key, version))


def _job_id(service: str, entropy: bytes) -> JobId:
    return JobId(f"{service}-{base64.b32encode(entropy).decode().lower()[:TAIL]}")


def _digest(*parts: str) -> bytes:
    """SHA-256 over length-prefixed parts, so that no two lists of parts run together."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()
