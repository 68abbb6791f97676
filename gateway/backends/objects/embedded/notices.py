"""Notices: telling the listener of every object created, in the form MinIO posts to webhooks.

A notice is the fast path only: the object's write stands whatever the listener does, and listing finds what
it missed.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote_plus

import structlog

from gateway.backends.objects.embedded.version import Version
from gateway.backends.objects.protocol import OWN_BUCKET, Listener, Provider

log = structlog.get_logger(__name__)

LISTENER_LIMIT_S = 10

EventName = Literal[
    "s3:ObjectCreated:Put", "s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload"
]
COMPLETED: EventName = "s3:ObjectCreated:CompleteMultipartUpload"


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that creates an object."""

    event: EventName = "s3:ObjectCreated:Put"
    address: str = "127.0.0.1"
    port: str = ""
    user_agent: str = "oscar-gateway"
    request_id: str = ""


class Notices:
    """`listener` is set once, at wiring; without it nobody is told."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.listener: Listener | None = None

    async def tell(self, version: Version, origin: Origin) -> None:
        """Returns when the listener has it, or has failed, or took too long."""
        if self.listener is None or version.bucket == OWN_BUCKET:
            return
        try:
            async with asyncio.timeout(LISTENER_LIMIT_S):
                raw = notice(version, origin, self._provider, now=datetime.now(UTC))
                await self.listener(version.stored(), raw)
        except Exception:  # whatever it raises, the upload succeeded
            log.warning("notice.failed", bucket=version.bucket, key=version.key, exc_info=True)


def notice(version: Version, origin: Origin, provider: Provider, *, now: datetime) -> bytes:
    """One record. Its `sequencer` is the modification time in nanoseconds, hexadecimal, so that cut to
    milliseconds it identifies the version together with the eTag, as in a listing."""
    who = {"principalId": provider.access_key}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": provider.region,
        "eventTime": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": origin.event,
        "userIdentity": who,
        "requestParameters": who | {"region": provider.region, "sourceIPAddress": origin.address},
        "responseElements": {
            "x-amz-request-id": origin.request_id,
            "x-minio-origin-endpoint": provider.endpoint,
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": version.bucket, "ownerIdentity": who, "arn": f"arn:aws:s3:::{version.bucket}"},
            "object": _object(version),
        },
        "source": {"host": origin.address, "port": origin.port, "userAgent": origin.user_agent},
    }
    told = {"EventName": origin.event, "Key": f"{version.bucket}/{version.key}", "Records": [record]}
    return json.dumps(told, ensure_ascii=False).encode()


def _object(version: Version) -> dict[str, object]:
    described = version.description
    metadata = {f"X-Amz-Meta-{name.title()}": value for name, value in described.metadata.items()}
    return {
        "key": quote_plus(version.key),
        "size": version.size_bytes,
        "eTag": version.etag,
        "contentType": described.content_type,
        "userMetadata": metadata | {"content-type": described.content_type},
        "sequencer": f"{version.modified_ms * 1_000_000:016X}",
    }
