"""Definitions, and a job, for tests."""

import json
from datetime import UTC, datetime

from gateway.domain.job import Cause, Job, JobId, JobState, Kept
from gateway.domain.service import Service, parse_service


def body(**fields: object) -> bytes:
    """The least a definition needs, and `fields`, as JSON."""
    return json.dumps({"name": "cowsay", "image": "a/cowsay:1", "script": "cowsay moo", **fields}).encode()


def service(**fields: object) -> Service:
    return parse_service(body(**fields))


JOB = Job(
    id=JobId("cowsay-x"),
    service="cowsay",
    service_uid="u1",
    cause=Cause.REQUEST,
    owner="ann",
    state=JobState.RUNNING,
    reason="",
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
    started_at=datetime(2026, 11, 23, tzinfo=UTC),
    finished_at=None,
    due_at=None,
    attempts=1,
    failures=0,
    interruptions=0,
    cancel_requested=False,
    exit_code=None,
    payload=None,
    stored=None,
    notice=None,
    kept=Kept(),
)
"""In its first attempt; others are made of it by `replace`."""
