"""Submit a job: in the ledger first, announced in the background. Accepting needs the ledger only."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from gateway.actions.accept_events import Noticed, accept_objects
from gateway.backends.connect import Backends
from gateway.backends.ledger.protocol import Accepted, IdempotencyKey
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.deployed import Deployed
from gateway.domain.ids import request_job_id
from gateway.domain.job import Cause, JobId, NewJob, Payload
from gateway.domain.notification import looks_like_notification, parse_notification
from gateway.domain.problems import Invalid, TooLarge

INLINE_LIMIT = 64 << 10
"""Larger payloads are kept in the object store: database and broker stay small."""

NOTIFICATION_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Submission:
    """One `POST /job/{service}`, or a call that is answered as a job. `key` is the Idempotency-Key, if
    any."""

    deployed: Deployed
    caller: str
    body: AsyncIterator[bytes]
    key: str | None = None
    cause: Cause = Cause.REQUEST


async def submit_job(backends: Backends, submission: Submission) -> tuple[Accepted, ...]:
    """Accept one job, or for a store's notification one job a record; durable when it returns.

    Empty for a notification with nothing to do. Raises TooLarge, KeyReused, Unavailable, StorageFull.
    """
    body = _Body(submission.body, limit=backends.settings.job_body_limit)
    head = await body.head(NOTIFICATION_LIMIT)
    if submission.cause is Cause.REQUEST and body.ended and looks_like_notification(head):
        records = _records(head)
        if records is not None:
            return await accept_objects(backends, records, cause=Cause.EVENT, only=submission.deployed)
    return (await _submit_payload(backends, submission, body, head),)


def _records(body: bytes) -> tuple[Noticed, ...] | None:
    """A notification's records; None where it only looked like one, or has none that can be read: then the
    script gets it as it is."""
    try:
        notification = parse_notification(body)
    except Invalid:
        return None
    return None if notification.unreadable and not notification.records else notification.records


async def _submit_payload(backends: Backends, submission: Submission, body: "_Body", head: bytes) -> Accepted:
    service = submission.deployed.service
    job = request_job_id(service.name, secrets.token_bytes(16))
    payload = await _keep_payload(backends, job, body, head)
    try:
        (accepted,) = await backends.ledger.accept(
            [
                NewJob(
                    id=job,
                    service=service.name,
                    service_uid=submission.deployed.uid,
                    cause=submission.cause,
                    owner=submission.caller,
                    payload=payload,
                )
            ],
            now=backends.now(),
            key=_idempotency_key(backends, submission, body.fingerprint()),
        )
    except BaseException:
        await _drop_payload(backends, payload)
        raise
    if accepted.created:
        backends.announcer.soon([accepted.id])
    else:
        await _drop_payload(backends, payload)
    return accepted


async def _keep_payload(backends: Backends, job: JobId, body: "_Body", head: bytes) -> Payload:
    if body.ended and len(head) <= INLINE_LIMIT:
        return Payload(size_bytes=len(head), inline=head)
    key = f"payloads/{job}"
    stored = await backends.objects.put(OWN_BUCKET, key, body.whole(head))
    return Payload(size_bytes=stored.size_bytes, key=key)


async def _drop_payload(backends: Backends, payload: Payload) -> None:
    if payload.key is not None:
        await backends.objects.remove(OWN_BUCKET, payload.key)


def _idempotency_key(backends: Backends, submission: Submission, fingerprint: str) -> IdempotencyKey | None:
    if submission.key is None:
        return None
    return IdempotencyKey(
        scope=f"{submission.caller}/{submission.deployed.uid}",
        key=submission.key,
        fingerprint=fingerprint,
        expires_at=backends.now() + timedelta(seconds=backends.settings.idempotency_s),
    )


class _Body:
    """A request's body read once: its head into memory, the rest as it comes, digested and counted on the
    way."""

    def __init__(self, chunks: AsyncIterator[bytes], *, limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        self._size = 0
        self._digest = hashlib.sha256()
        self.ended = False

    async def head(self, size: int) -> bytes:
        """At least `size` bytes, or all of it (then `ended`)."""
        head = bytearray()
        while len(head) <= size:
            chunk = await self._next()
            if chunk is None:
                break
            head += chunk
        return bytes(head)

    async def whole(self, head: bytes) -> AsyncIterator[bytes]:
        yield head
        while (chunk := await self._next()) is not None:
            yield chunk

    def fingerprint(self) -> str:
        return self._digest.hexdigest()

    async def _next(self) -> bytes | None:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self.ended = True
            return None
        self._size += len(chunk)
        if self._size > self._limit:
            raise TooLarge(f"the body is larger than {self._limit} bytes (JOB_BODY_LIMIT)", field="body")
        self._digest.update(chunk)
        return chunk
