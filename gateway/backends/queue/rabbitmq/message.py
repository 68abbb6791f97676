"""A message as it is on the broker: a job's id in JSON, and a counter in a header. Pure.

The body is `{"job": "<id>"}`. Fields and headers it does not know are left alone, so that a newer gateway may
add to it.
"""

import json
from dataclasses import dataclass
from typing import Any

from aio_pika import DeliveryMode, Message

from gateway.domain.job import JobId
from gateway.domain.problems import Invalid

CONTENT_TYPE = "application/json"
TYPE = "oscar-gateway.job.queued"
RETURNS_HEADER = "oscar-gateway-returns"
"""How often a worker gave it back: ours, since what the broker counts differs from version to version."""
REASON_HEADER = "oscar-gateway-reason"
"""On dead letters: why nobody could work on it."""
REASON_LIMIT = 500
ID_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a readable message says."""

    job: JobId
    returns: int = 0


def encode(announcement: Announcement) -> Message:
    """Persistent; its message id is left to the client, which tells returned messages apart by it."""
    return Message(
        json.dumps({"job": announcement.job}).encode(),
        content_type=CONTENT_TYPE,
        content_encoding="utf-8",
        delivery_mode=DeliveryMode.PERSISTENT,
        type=TYPE,
        headers={RETURNS_HEADER: announcement.returns},
    )


def dead_letter(body: bytes, *, content_type: str | None, returns: int, reason: str) -> Message:
    """The same body with the reason."""
    return Message(
        body,
        content_type=content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        type=TYPE,
        headers={RETURNS_HEADER: returns, REASON_HEADER: reason[:REASON_LIMIT]},
    )


def decode(body: bytes, headers: dict[str, Any]) -> Announcement:
    """Raises Invalid with the reason for what is no announcement."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("the message is not JSON in UTF-8") from None
    job = said.get("job") if isinstance(said, dict) else None
    if not isinstance(job, str) or not job or len(job) > ID_LIMIT or not job.isprintable():
        raise Invalid("the message has no job id")
    returns = headers.get(RETURNS_HEADER, 0)
    return Announcement(JobId(job), returns if isinstance(returns, int) and returns > 0 else 0)
