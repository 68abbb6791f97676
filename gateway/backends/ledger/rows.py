"""Rows of the ledger's tables to and from the domain's values. No statements."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from gateway.backends.ledger.tables import NEVER, micros, moment
from gateway.domain.event import StoredObject
from gateway.domain.job import (
    Attempt,
    Cause,
    Delivered,
    EndReason,
    Job,
    JobId,
    JobState,
    Kept,
    NewJob,
    Payload,
    ResultKind,
    attempt_id,
)

AnyRow = Row[Any]
"""A row of `jobs` or `attempts`: its columns have no static types."""


STORED = tuple(field.name for field in fields(StoredObject))
FRESH: Mapping[str, object] = {
    "state": JobState.QUEUED.value,
    "reason": "",
    "announced_at": NEVER,
    "attempts": 0,
    "failures": 0,
    "interruptions": 0,
    "cancel_requested": False,
}
"""What the rows of all jobs have in common that were just accepted."""


def job_row(new: NewJob, *, now: datetime) -> dict[str, object]:
    """The row of `jobs` for a job just accepted, but for what is in FRESH."""
    return {
        "id": new.id,
        "service": new.service,
        "service_uid": new.service_uid,
        "cause": new.cause.value,
        "owner": new.owner,
        "created_at": now,
        "queued_at": now,
        "payload_size": new.payload.size_bytes if new.payload else None,
        "payload_key": new.payload.key if new.payload else None,
        "stored": _stored_document(new.stored) if new.stored else None,
    }


def contents_row(new: NewJob) -> dict[str, object] | None:
    """The row of `contents`; None where there are no bytes to keep."""
    inline = new.payload.inline if new.payload else None
    if inline is None and new.notice is None:
        return None
    return {"job_id": new.id, "payload": inline, "notice": new.notice}


def job_of_row(row: AnyRow, *, inline: bytes | None = None, notice: bytes | None = None) -> Job:
    """The job of a row of `jobs`, with what `contents` has of it, if that was read."""
    return Job(
        id=JobId(row.id),
        service=row.service,
        service_uid=row.service_uid,
        cause=Cause(row.cause),
        owner=row.owner,
        state=JobState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        due_at=row.due_at,
        attempts=row.attempts,
        failures=row.failures,
        interruptions=row.interruptions,
        cancel_requested=row.cancel_requested,
        exit_code=row.exit_code,
        payload=None if row.payload_size is None else Payload(row.payload_size, inline, row.payload_key),
        stored=_stored(row.stored) if row.stored else None,
        notice=notice,
        kept=_kept(row.kept) if row.kept else Kept(),
    )


def attempt_of_row(row: AnyRow) -> Attempt:
    return Attempt(
        id=attempt_id(JobId(row.job_id), row.number),
        job=JobId(row.job_id),
        number=row.number,
        claimed_at=row.claimed_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        reason=EndReason(row.reason) if row.reason else None,
        exit_code=row.exit_code,
        detail=row.detail,
    )


def kept_document(kept: Kept) -> dict[str, object] | None:
    """The JSON column of what is kept; None where nothing is."""
    return None if kept == Kept() else asdict(kept)


def _kept(document: Mapping[str, Any]) -> Kept:
    kind = document["result_kind"]
    return Kept(
        result_key=document["result_key"],
        result_kind=ResultKind(kind) if kind else None,
        result_name=document["result_name"],
        log_key=document["log_key"],
        delivered=tuple(Delivered(**one) for one in document["delivered"]),
    )


def _stored_document(stored: StoredObject) -> dict[str, object]:
    # Not `asdict`, which copies every value: most jobs come by an object.
    document: dict[str, object] = {name: getattr(stored, name) for name in STORED}
    document["modified_at"] = micros(stored.modified_at)
    return document


def _stored(document: Mapping[str, Any]) -> StoredObject:
    return StoredObject(**{**document, "modified_at": moment(document["modified_at"])})
