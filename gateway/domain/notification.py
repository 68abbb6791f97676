"""A notification: what a store posts when objects were created. MinIO, AWS S3, versitygw and moto send one.

They differ in how they spell a key, an eTag, an event's name and a time; behind `parse_notification` no more.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus, unquote_plus

from gateway.domain.event import StoredObject
from gateway.domain.mark import METADATA_KEY
from gateway.domain.names import bucket_name
from gateway.domain.problems import Invalid

NOTIFICATION_LIMIT = 1 << 20
RECORDS_LIMIT = 1000
KEY_LIMIT_BYTES = 1024
TEXT_LIMIT = 8192
EVENT_LIMIT_BYTES = 96 << 10
"""A script gets the notice in one environment variable, of which Linux takes 128 KiB at most."""

_LOOKS = re.compile(rb'"eventSource"\s*:\s*"(?:minio|aws):s3"|"Event"\s*:\s*"s3:TestEvent"')
_NOT_CONTENT = frozenset({"PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold"})
"""MinIO counts these as ObjectCreated too, though the object is the same as before."""
_HALF = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAUSIBLE = range(946_684_800_000, 4_102_444_800_000)
"""Milliseconds from the year 2000 to 2100."""


@dataclass(frozen=True, slots=True)
class Notification:
    """`records`: each object and its notice, a body of one record. `unreadable`: why others are not there."""

    records: tuple[tuple[StoredObject, bytes], ...] = ()
    unreadable: tuple[str, ...] = ()


class _UnreadableError(Exception):
    """Why one record cannot be read."""


def looks_like_notification(raw: bytes) -> bool:
    """A cheap guess, without parsing: so looks a body that `parse_notification` is worth trying on."""
    return raw.lstrip()[:1] == b"{" and _LOOKS.search(raw) is not None


def parse_notification(raw: bytes) -> Notification:
    """Every record of an object's creation; others do not count. Raises Invalid if it is no notification.

    A record that cannot be read does not hide the others.
    """
    body = _body(raw)
    if body.get("Event") == "s3:TestEvent":
        return Notification()
    given = body.get("Records")
    if not isinstance(given, list):
        raise Invalid("Records: must be a list", field="Records")
    if len(given) > RECORDS_LIMIT:
        raise Invalid(f"Records: has more than {RECORDS_LIMIT} entries", field="Records")
    records: list[tuple[StoredObject, bytes]] = []
    unreadable: list[str] = []
    for index, record in enumerate(given):
        try:
            stored = _stored(record)
        except _UnreadableError as why:
            unreadable.append(f"Records[{index}]: {why}")
            continue
        if stored is not None:
            records.append((stored, _notice(stored, record, whole=raw if len(given) == 1 else None)))
    return Notification(tuple(records), tuple(unreadable))


def notice_of(stored: StoredObject) -> dict[str, object]:
    """The notice MinIO would have posted, for an object whose own was never seen."""
    name = "s3:ObjectCreated:Put"
    written: dict[str, object] = {
        "key": quote_plus(stored.key),
        "size": stored.size_bytes,
        "eTag": stored.etag,
        "sequencer": f"{_milliseconds(stored.modified_at) * 1_000_000:016X}",
    }
    if stored.version:
        written["versionId"] = stored.version
    if stored.mark:
        written["userMetadata"] = {f"X-Amz-Meta-{METADATA_KEY.title()}": stored.mark}
    bucket = {"name": stored.bucket, "arn": f"arn:aws:s3:::{stored.bucket}"}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": stored.modified_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "Config", "bucket": bucket, "object": written},
    }
    return {"EventName": name, "Key": f"{stored.bucket}/{stored.key}", "Records": [record]}


def _body(raw: bytes) -> Mapping[str, object]:
    if len(raw) > NOTIFICATION_LIMIT:
        raise Invalid(f"the notification has more than {NOTIFICATION_LIMIT} bytes")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Invalid("the notification is not JSON") from error
    if not isinstance(body, Mapping):
        raise Invalid("the notification is not a JSON object")
    return body


def _notice(stored: StoredObject, record: object, *, whole: bytes | None) -> bytes:
    """Byte for byte as it came if it came alone."""
    notice = json.dumps({"Records": [record]}).encode() if whole is None else whole
    return notice if len(notice) <= EVENT_LIMIT_BYTES else json.dumps(notice_of(stored)).encode()


def _stored(record: object) -> StoredObject | None:
    """None for what is not the creation of an object."""
    event = _mapping(record, "the record")
    kind, _, what = _text(event, "eventName").removeprefix("s3:").partition(":")
    if kind != "ObjectCreated" or what in _NOT_CONTENT:
        return None
    s3 = _mapping(event.get("s3"), "s3")
    bucket = _mapping(s3.get("bucket"), "s3.bucket")
    written = _mapping(s3.get("object"), "s3.object")
    version = _text(written, "versionId", default="")
    return StoredObject(
        bucket=_bucket(bucket),
        key=_key(written, bucket),
        etag=_text(written, "eTag", default="").strip('"'),
        modified_at=_modified_at(event, written),
        size_bytes=_size(written),
        version="" if version == "null" else version,
        mark=_mark(written),
    )


def _bucket(bucket: Mapping[str, object]) -> str:
    try:
        return bucket_name(_required(bucket, "name"))
    except ValueError as error:
        raise _UnreadableError(str(error)) from None


def _key(written: Mapping[str, object], bucket: Mapping[str, object]) -> str:
    """Form-encoded, but for versitygw: it alone puts a slash into the bucket's arn, and keys as they are."""
    key = _required(written, "key")
    if "/" not in _text(bucket, "arn", default=""):
        try:
            key = unquote_plus(key, errors="strict")
        except UnicodeDecodeError:
            raise _UnreadableError("key is not UTF-8") from None
    if len(key.encode()) > KEY_LIMIT_BYTES or "\0" in key:
        raise _UnreadableError("key is none that a store could hold")
    return key


def _modified_at(event: Mapping[str, object], written: Mapping[str, object]) -> datetime:
    """To the millisecond, as listings have it.

    MinIO's `sequencer` is just that, in nanoseconds; its `eventTime`, as others', is when it was told.
    """
    sequencer = _text(written, "sequencer", default="")
    if event.get("eventSource") == "minio:s3" and re.fullmatch(r"[0-9A-Fa-f]{1,16}", sequencer):
        milliseconds = int(sequencer, 16) // 1_000_000
        if milliseconds in _PLAUSIBLE:
            return _moment(milliseconds)
    try:
        told = datetime.fromisoformat(_required(event, "eventTime"))
        milliseconds = _milliseconds(told if told.tzinfo else told.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        milliseconds = -1
    if milliseconds not in _PLAUSIBLE:
        raise _UnreadableError("eventTime is not a time of these years")
    return _moment(milliseconds)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _size(written: Mapping[str, object]) -> int:
    """Absent when it is 0."""
    size = written.get("size", 0)
    if not isinstance(size, int) or not 0 <= size < 1 << 63:
        raise _UnreadableError("size is not a number of bytes")
    return size


def _mark(written: Mapping[str, object]) -> str:
    metadata = written.get("userMetadata")
    if not isinstance(metadata, Mapping):
        return ""
    marks = (
        value
        for name, value in metadata.items()
        if name.lower().removeprefix("x-amz-meta-") == METADATA_KEY
        and isinstance(value, str)
        and len(value) <= TEXT_LIMIT
    )
    return next(marks, "")


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _UnreadableError(f"{name} is not an object")
    return value


def _text(mapping: Mapping[str, object], name: str, *, default: str | None = None) -> str:
    value = mapping.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _UnreadableError(f"{name} is not text")
    if len(value) > TEXT_LIMIT or _HALF.search(value):
        raise _UnreadableError(f"{name} is too long, or not Unicode")
    return value


def _required(mapping: Mapping[str, object], name: str) -> str:
    value = _text(mapping, name)
    if not value:
        raise _UnreadableError(f"{name} is empty")
    return value
