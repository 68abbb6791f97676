"""Ids of jobs."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.event import StoredObject
from gateway.domain.ids import event_job_id, request_job_id
from gateway.domain.job import attempt_id, job_of
from gateway.domain.notification import notice_of, parse_notification

STORED = StoredObject(
    bucket="inbox",
    key="a/x.txt",
    etag="e1",
    modified_at=datetime(2026, 11, 23, 1, 2, 3, 4000, UTC),
    size_bytes=5,
)


def event_id(stored: StoredObject, *, service: str = "cowsay", uid: str = "u1") -> str:
    return event_job_id(service, uid, stored)


def test_an_id_begins_with_the_service_and_fits_a_kubernetes_name_with_its_attempt() -> None:
    job = request_job_id("a" * 39, bytes(range(16)))
    assert re.fullmatch(r"a{39}-[a-z0-9]{20}", job)
    assert len(attempt_id(job, 99)) <= 63
    assert job_of(attempt_id(job, 99)) == (job, 99)


def test_other_randomness_is_another_id() -> None:
    assert len({request_job_id("cowsay", bytes([n]) * 16) for n in range(50)}) == 50


def test_the_same_event_is_the_same_job_whatever_else_is_known_of_the_object() -> None:
    assert event_id(STORED) == event_id(replace(STORED, size_bytes=0, mark="x"))


@pytest.mark.parametrize(
    "other",
    [
        replace(STORED, bucket="inbo", key="xa/x.txt"),
        replace(STORED, key="a/y.txt"),
        replace(STORED, etag="e2"),
        replace(STORED, modified_at=STORED.modified_at + timedelta(milliseconds=1)),
        replace(STORED, version="v1"),
    ],
)
def test_another_version_of_an_object_is_another_job(other: StoredObject) -> None:
    assert event_id(other) != event_id(STORED)


def test_a_service_made_again_under_its_name_has_other_jobs() -> None:
    assert event_id(STORED, uid="u2") != event_id(STORED)


def test_a_version_id_alone_identifies_where_there_is_one() -> None:
    first = replace(STORED, version="v1")
    assert event_id(first) == event_id(
        replace(first, etag="", modified_at=first.modified_at + timedelta(seconds=1))
    )


@given(st.integers(946_684_800_000, 4_102_444_799_999))
def test_a_notice_and_a_listing_of_an_object_lead_to_the_same_job(milliseconds: int) -> None:
    listed = replace(
        STORED, modified_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    )
    ((noticed, _),) = parse_notification(json_of(listed)).records
    assert event_id(noticed) == event_id(listed)


def json_of(stored: StoredObject) -> bytes:

    return json.dumps(notice_of(stored)).encode()
