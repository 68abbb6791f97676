"""Upload outputs in parts, for the pod of a live attempt: begun, completed and given up here, the parts put
by links. A note of each stands in the gateway's own bucket from its begin to its end, so that what a pod left
when it died is found and aborted.

An upload whose begin was cut before its note was written is not found. Nobody has its id, so it has no parts.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import groupby

import structlog

from gateway.actions.hand_out_order import require_live
from gateway.actions.link_objects import Wish, require_output
from gateway.backends.connect import Backends
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId
from gateway.domain.parted import parted_etag
from gateway.domain.problems import Conflict, Invalid, NotFound, Unavailable

NOTES = "uploads/"

log = structlog.get_logger(__name__)


async def begin_upload(backends: Backends, attempt: AttemptId, where: Wish) -> str:
    """Its id. Raises Conflict, Forbidden, Invalid, NotFound for the bucket, Unavailable, StorageFull."""
    job, deployed = await require_live(backends, attempt)
    ours = require_output(job, deployed, where)
    upload = await backends.objects.begin_upload(
        where.bucket, where.key, content_type=where.content_type, mark=ours
    )
    note = json.dumps({"bucket": where.bucket, "key": where.key, "upload": upload}).encode()
    await backends.objects.put(OWN_BUCKET, _note_key(attempt, upload), _once(note))
    return upload


async def complete_upload(
    backends: Backends, attempt: AttemptId, where: Wish, etags: Sequence[str]
) -> StoredObject:
    """The object made of all its parts; the same when it is asked for again. Raises Conflict, Forbidden,
    NotFound for an upload that is over, Invalid for parts that do not fit, TooLarge, Unavailable."""
    job, deployed = await require_live(backends, attempt)
    ours = require_output(job, deployed, where)
    if not etags:
        raise Invalid("etags: those of all parts are needed", field="etags")
    try:
        stored = await backends.objects.complete_upload(
            where.bucket, where.key, where.upload, list(enumerate(etags, 1))
        )
    except NotFound:
        stored = await backends.objects.stat(where.bucket, where.key)
        if (stored.etag, stored.mark) != (_etag(etags), ours):
            raise
    await _forget(backends, attempt, where.upload)
    return stored


async def abort_upload(backends: Backends, attempt: AttemptId, where: Wish) -> None:
    """Also when it is over. Raises Conflict, Forbidden, Unavailable."""
    job, deployed = await require_live(backends, attempt)
    require_output(job, deployed, where)
    await _abort(backends, where.bucket, where.key, where.upload)
    await _forget(backends, attempt, where.upload)


async def drop_uploads(backends: Backends) -> None:
    """Abort what attempts that are over have left. Raises Unavailable."""
    async with aclosing(backends.objects.walk(OWN_BUCKET, prefix=NOTES)) as pages:
        async for page in pages:
            for attempt, notes in groupby((note.key for note in page), key=_attempt_of):
                if await _is_over(backends, attempt):
                    for key in notes:
                        await _drop(backends, key)


async def _drop(backends: Backends, key: str) -> None:
    """One that cannot be dropped now keeps no other from it."""
    try:
        raw = b"".join([chunk async for chunk in backends.objects.read(OWN_BUCKET, key)])
        note = json.loads(raw)
        await _abort(backends, note["bucket"], note["key"], note["upload"])
        await backends.objects.remove(OWN_BUCKET, key)
    except NotFound:
        return  # another process was faster
    except Unavailable as problem:
        log.warning("upload.left", note=key, why=problem.detail)
    else:
        log.info("upload.dropped", attempt=_attempt_of(key), bucket=note["bucket"], key=note["key"])


def _attempt_of(key: str) -> AttemptId:
    return AttemptId(key.removeprefix(NOTES).partition("/")[0])


async def _is_over(backends: Backends, attempt: AttemptId) -> bool:
    try:
        await require_live(backends, attempt)
    except Conflict:
        return True
    return False


async def _abort(backends: Backends, bucket: str, key: str, upload: str) -> None:
    try:
        await backends.objects.abort_upload(bucket, key, upload)
    except NotFound:
        log.debug("upload.gone", bucket=bucket, key=key)


async def _forget(backends: Backends, attempt: AttemptId, upload: str) -> None:
    await backends.objects.remove(OWN_BUCKET, _note_key(attempt, upload))


def _note_key(attempt: AttemptId, upload: str) -> str:
    """What stores give as ids has any length and characters."""
    return f"{NOTES}{attempt}/{hashlib.sha256(upload.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _etag(etags: Sequence[str]) -> str:
    """Empty where the store's are no digests."""
    try:
        return parted_etag(bytes.fromhex(etag) for etag in etags)
    except ValueError:
        return ""


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
