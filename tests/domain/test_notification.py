"""Notifications: four stores' ways of saying the same."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.event import StoredObject
from gateway.domain.mark import mark, written_by
from gateway.domain.notification import (
    EVENT_LIMIT_BYTES,
    Notification,
    looks_like_notification,
    notice_of,
    parse_notification,
)
from gateway.domain.problems import Invalid

MODIFIED = datetime(2026, 11, 23, 23, 27, 58, 450_000, UTC)
SEQUENCER = f"{int(MODIFIED.timestamp() * 1000) * 1_000_000 + 694_169:016X}"


def record(**changes: object) -> dict[str, Any]:
    """A record as MinIO posts it. `changes` by dotted path with `__` for dots; None takes the field away."""
    whole: dict[str, Any] = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": "2026-11-23T23:27:58.452Z",
        "eventName": "s3:ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "inbox", "arn": "arn:aws:s3:::inbox"},
            "object": {
                "key": "in%2Fa+b%2Bc+%C3%B1.txt",
                "size": 5,
                "eTag": "5d41402abc4b2a76b9719d911017c592",
                "userMetadata": {"X-Amz-Meta-Owner": "me"},
                "sequencer": SEQUENCER,
            },
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = whole
        for parent in parents:
            place = place[parent]
        place[last] = value
        if value is None:
            del place[last]
    return whole


def posted(*records: object) -> bytes:
    return json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": "inbox/in/a", "Records": records}).encode()


def only(notification: Notification) -> StoredObject:
    assert notification.unreadable == ()
    ((stored, _),) = notification.records
    return stored


MINIO = record()
AWS = record(
    eventSource="aws:s3",
    eventName="ObjectCreated:Put",
    eventTime="2026-11-23T23:27:58.450Z",
    s3__object__sequencer="0055AED6DCD90281E5",
    s3__object__userMetadata=None,
)
MOTO = record(
    eventSource="aws:s3",
    eventName="ObjectCreated:CompleteMultipartUpload",
    eventTime="2026-11-23T23:27:58.450000Z",
    s3__object__sequencer=None,
    s3__object__userMetadata=None,
)
VERSITYGW = record(
    eventSource="aws:s3",
    eventTime="2026-11-23T23:27:58.45Z",
    s3__bucket__arn="arn:aws:s3:::/inbox/in/a b+c ñ.txt",
    s3__object__key="in/a b+c ñ.txt",
    s3__object__eTag='"5d41402abc4b2a76b9719d911017c592"',
    s3__object__sequencer="1F",
    s3__object__userMetadata=None,
)


@pytest.mark.parametrize("told", [MINIO, AWS, MOTO, VERSITYGW], ids=["minio", "aws", "moto", "versitygw"])
def test_every_store_tells_of_the_same_object(told: dict[str, Any]) -> None:
    assert only(parse_notification(posted(told))) == StoredObject(
        bucket="inbox",
        key="in/a b+c ñ.txt",
        etag="5d41402abc4b2a76b9719d911017c592",
        modified_at=MODIFIED,
        size_bytes=5,
    )


def test_a_plain_percent_sign_of_versitygw_is_not_decoded() -> None:
    told = {**VERSITYGW, "s3": {**VERSITYGW["s3"], "object": {**VERSITYGW["s3"]["object"], "key": "100%25+"}}}
    assert only(parse_notification(posted(told))).key == "100%25+"


@pytest.mark.parametrize("sequencer", ["", "zz", "0", "1F", "FFFFFFFFFFFFFFFF", "00" * 20])
def test_a_sequencer_that_is_no_time_leaves_the_events_time(sequencer: str) -> None:
    stored = only(parse_notification(posted(record(s3__object__sequencer=sequencer))))
    assert stored.modified_at == MODIFIED + timedelta(milliseconds=2)


def test_only_minios_sequencer_is_a_time() -> None:
    told = record(eventSource="aws:s3", eventTime="2026-11-23T23:27:59Z")
    assert only(parse_notification(posted(told))).modified_at == datetime(
        2026, 11, 23, 23, 27, 59, tzinfo=UTC
    )


def test_versions_sizes_and_marks_are_read() -> None:
    text = mark(service_uid="u1", job="cowsay-x", bucket="inbox", key="in/a b+c ñ.txt")
    told = record(
        s3__object__versionId="v1",
        s3__object__size=None,
        s3__object__userMetadata={"content-type": "x", "X-AMZ-Meta-Oscar-Gateway-Mark": text},
    )
    stored = only(parse_notification(posted(told)))
    assert (stored.version, stored.size_bytes) == ("v1", 0)
    assert written_by(stored.mark, service_uid="u1", bucket=stored.bucket, key=stored.key)
    assert only(parse_notification(posted(record(s3__object__versionId="null")))).version == ""


def test_a_body_of_one_record_is_passed_on_byte_for_byte() -> None:
    raw = b" " + posted(MINIO).replace(b'": ', b'" :  ')
    ((_, notice),) = parse_notification(raw).records
    assert notice == raw


def test_of_several_records_each_gets_a_notice_of_its_own() -> None:
    records = parse_notification(posted(MINIO, AWS)).records
    assert [json.loads(notice)["Records"] for _, notice in records] == [[MINIO], [AWS]]
    assert [only(parse_notification(notice)) for _, notice in records] == [stored for stored, _ in records]


def test_a_notice_too_long_for_a_variable_is_told_in_fewer_words() -> None:
    told = record(s3__object__userMetadata={f"X-Amz-Meta-{n}": "x" * 1000 for n in range(200)})
    ((stored, notice),) = parse_notification(posted(told)).records
    assert len(notice) < EVENT_LIMIT_BYTES
    assert only(parse_notification(notice)) == stored


@pytest.mark.parametrize(
    "name",
    [
        "s3:ObjectRemoved:Delete",
        "s3:ObjectCreated:PutTagging",
        "ObjectCreated:PutRetention",
        "ObjectTagging:Put",
        "s3:ObjectCreated:DeleteTagging",
        "s3:ObjectCreated:PutLegalHold",
        "s3:ObjectAccessed:Get",
    ],
)
def test_what_creates_no_content_is_passed_over(name: str) -> None:
    assert parse_notification(posted(record(eventName=name))) == Notification()


def test_the_test_event_of_aws_is_nothing_to_do() -> None:
    raw = b'{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-23T23:27:58.450Z","Bucket":"inbox"}'
    assert looks_like_notification(raw)
    assert parse_notification(raw) == Notification()


UNREADABLE: list[object] = [
    None,
    "text",
    {},
    record(eventName=7),
    record(s3=[]),
    record(s3__bucket=None),
    record(s3__bucket__name=""),
    record(s3__bucket__name="Not A Bucket"),
    record(s3__object__key=""),
    record(s3__object__key=None),
    record(s3__object__key="%FF"),
    record(s3__object__key="a%00b"),
    record(s3__object__key="\ud800"),
    record(s3__object__key="x" * 1025),
    record(s3__object__eTag=["x"]),
    record(s3__object__size="5"),
    record(s3__object__size=-1),
    record(s3__object__sequencer=None, eventTime="yesterday"),
    record(s3__object__sequencer=None, eventTime=None),
    record(s3__object__sequencer=None, eventTime="0001-01-01T00:00:00+14:00"),
    record(s3__object__versionId="x" * 10_000),
]


@pytest.mark.parametrize("bad", UNREADABLE, ids=lambda value: json.dumps(value)[-60:])
def test_an_unreadable_record_is_reported_and_hides_no_other(bad: object) -> None:
    notification = parse_notification(posted(AWS, bad, MINIO))
    assert len(notification.records) == 2
    (why,) = notification.unreadable
    assert why.startswith("Records[1]: ")
    assert len(why) < 200
    assert "\n" not in why


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"Records": {}}',
        b'{"Records": null}',
        b"\xff",
        b"[" * 100_000,
        b'{"Records": [' + b"1," * 1000 + b"1]}",
        b'{"Records": [], "x": "' + b"x" * (1 << 20) + b'"}',
    ],
    ids=lambda raw: repr(raw)[:30],
)
def test_what_is_no_notification_is_invalid(raw: bytes) -> None:
    with pytest.raises(Invalid):
        parse_notification(raw)


def test_bodies_that_are_meant_for_scripts_do_not_look_like_notifications() -> None:
    assert looks_like_notification(b"\n " + posted(MINIO))
    assert looks_like_notification(posted(AWS))
    for raw in (
        b"",
        b"aGVsbG8=",
        b"[]",
        b'{"Records": []}',
        b'{"eventSource": "mine"}',
        b'"eventSource":"aws:s3"',
    ):
        assert not looks_like_notification(raw)


milliseconds = st.integers(946_684_800_000, 4_102_444_799_999)
stored_objects = st.builds(
    StoredObject,
    bucket=st.from_regex(r"[a-z0-9]{3,20}", fullmatch=True),
    key=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60),
    etag=st.from_regex(r"[0-9a-f]{32}(-[0-9]{1,3})?", fullmatch=True),
    modified_at=milliseconds.map(
        lambda told: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=told)
    ),
    size_bytes=st.integers(0, 1 << 42),
    version=st.from_regex(r"([0-9a-f-]{36})?", fullmatch=True),
    mark=st.just("") | st.just("u1 cowsay-x 0123"),
)


@given(stored_objects)
def test_a_notice_of_ours_is_read_back_exactly(stored: StoredObject) -> None:
    raw = json.dumps(notice_of(stored)).encode()
    assert looks_like_notification(raw)
    assert only(parse_notification(raw)) == stored


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(
        [
            "eventName",
            "eventTime",
            "eventSource",
            "s3",
            "s3__bucket",
            "s3__bucket__name",
            "s3__bucket__arn",
            "s3__object",
            "s3__object__key",
            "s3__object__size",
            "s3__object__eTag",
            "s3__object__sequencer",
            "s3__object__versionId",
            "s3__object__userMetadata",
        ]
    ),
    junk,
)
def test_a_strange_value_anywhere_is_an_unreadable_record_at_most(path: str, value: object) -> None:
    notification = parse_notification(posted(record(**{path: value}), MINIO))
    assert len(notification.records) + len(notification.unreadable) in (1, 2)
    assert notification.records[-1][0] == only(parse_notification(posted(MINIO)))


@given(st.binary(max_size=100) | junk.map(lambda value: json.dumps({"Records": value}).encode()))
def test_any_bytes_are_a_notification_or_invalid(raw: bytes) -> None:
    looks_like_notification(raw)
    with suppress(Invalid):
        parse_notification(raw)
