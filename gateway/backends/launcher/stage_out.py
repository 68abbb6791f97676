"""Staging out: what a script left goes where it belongs: outputs to the service's buckets, result and log to
our own.

It may be done again from the start, after a kill at any moment: an output that this job has stored before,
and that has not changed since, is not stored again, so that no second version of it triggers anybody.
Also done in a pod, so it imports little.
"""

import asyncio
import mimetypes
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from gateway.backends.launcher.store import Store
from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, Delivered, Ending, EndReason, Kept, job_of, log_key, result_key
from gateway.domain.mark import mark
from gateway.domain.matching import Putting, destinations
from gateway.domain.problems import NotFound, Problem, TooLarge, Unavailable
from gateway.executors.protocol import Ended
from gateway.staging.abreast import abreast
from gateway.staging.answer import find_answer
from gateway.staging.chunks import read_chunks, read_file
from gateway.staging.disk import disk_problems
from gateway.staging.etag import file_etag
from gateway.staging.log import entry, stamp
from gateway.staging.outputs import Output, Outputs, find_outputs
from gateway.staging.workspace import Workspace

DELIVERING = frozenset({EndReason.EXITED, EndReason.TIME_LIMIT, EndReason.MEMORY_LIMIT})
"""Ends after which outputs are worth something. A script interrupted or cancelled leaves halves."""
KEY_LIMIT = 1024
"""Of an object's key in any S3, bytes."""
ASKED_AT_ONCE = 128
"""Outputs whose places are asked about together, which a pod does in one request."""
PUTS_AT_ONCE = 4
"""Of one attempt. Each has a chunk in memory, or what a store wants to have at once of a body."""
PAUSES_S = (0.5, 2.0, 8.0)
"""Before trying again when the store is away: running the script again would cost more."""


class Leaving(Protocol):
    """Whose outputs they are, and the rules for them as they were when the attempt began."""

    @property
    def attempt(self) -> AttemptId: ...
    @property
    def service_uid(self) -> str: ...
    @property
    def service(self) -> Putting: ...


async def stage_out(
    store: Store, own_bucket: str, record: Leaving, workspace: Workspace, ended: Ended, *, output_limit: int
) -> Ending:
    """The attempt's ending, its outputs, result and log stored. What cannot be stored is told in it; raises
    nothing."""
    staging = _Staging(store, own_bucket, record, workspace)
    kept, trouble = Kept(), None
    try:
        outputs, ended = await _outputs(workspace, ended, output_limit)
        if ended.reason in DELIVERING:
            kept = replace(kept, delivered=await staging.deliver(outputs))
        if ended.reason in DELIVERING | {EndReason.OUTPUT_LIMIT}:
            succeeded = ended.reason is EndReason.EXITED and ended.exit_code == 0
            kept = await staging.keep_result(outputs if succeeded else Outputs(()), kept)
        kept = await staging.keep_log(outputs, kept)
    except Problem as problem:
        trouble = problem
    return _ending(record, ended, kept, trouble)


def _ending(record: Leaving, ended: Ended, kept: Kept, trouble: Problem | None) -> Ending:
    """A script that failed has failed, wherever its outputs are. What is too large for a store is too much
    output, and would be again."""
    reason, detail = ended.reason, ended.detail
    if trouble and reason is EndReason.EXITED and ended.exit_code == 0:
        reason = EndReason.OUTPUT_LIMIT if isinstance(trouble, TooLarge) else EndReason.STAGING
        detail = trouble.detail
    elif trouble:
        detail = f"{detail}; its outputs could not be stored: {trouble.detail}".removeprefix("; ")
    return Ending(record.attempt, reason, exit_code=ended.exit_code, detail=detail, kept=kept)


async def _outputs(workspace: Workspace, ended: Ended, limit_bytes: int) -> tuple[Outputs, Ended]:
    """And the end as it is told then: leaving too much is an end of its own. Raises Unavailable."""
    if ended.reason not in DELIVERING:
        return Outputs(()), ended
    try:
        with disk_problems("reading the outputs"):
            return await asyncio.to_thread(find_outputs, workspace.output_dir, limit_bytes=limit_bytes), ended
    except TooLarge as problem:
        return Outputs(()), replace(ended, reason=EndReason.OUTPUT_LIMIT, detail=problem.detail)


@dataclass(frozen=True, slots=True)
class _Delivery:
    output: Output
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class _Staging:
    """One attempt's. Its methods raise Unavailable, StorageFull, NotFound for a bucket that is gone."""

    store: Store
    own_bucket: str
    record: Leaving
    workspace: Workspace

    async def deliver(self, outputs: Outputs) -> tuple[Delivered, ...]:
        """Every output to every place that accepts it, in their order."""
        delivered: list[Delivered] = []
        left = self._deliveries(outputs)
        while batch := tuple(islice(left, ASKED_AT_ONCE)):
            found = await abreast(self._there, batch, at_once=ASKED_AT_ONCE)
            pairs = zip(batch, found, strict=True)
            delivered += await abreast(self._deliver, pairs, at_once=PUTS_AT_ONCE)
        return tuple(delivered)

    def _deliveries(self, outputs: Outputs) -> Iterator[_Delivery]:
        for output in outputs.files:
            for bucket, key in destinations(self.record.service, output.name) if output.utf8 else ():
                if len(key.encode()) <= KEY_LIMIT:
                    yield _Delivery(output, bucket, key)

    async def keep_result(self, outputs: Outputs, kept: Kept) -> Kept:
        with disk_problems("packing the result"):
            answer = await asyncio.to_thread(find_answer, self.workspace, outputs)
        key = result_key(self.record.attempt)
        await self._put(self.own_bucket, key, lambda: read_file(answer.path))
        return replace(kept, result_key=key, result_kind=answer.kind, result_name=answer.name)

    async def keep_log(self, outputs: Outputs, kept: Kept) -> Kept:
        if not self.workspace.log.exists():
            return kept
        key = log_key(self.record.attempt)
        notes = self._notes(outputs)
        await self._put(self.own_bucket, key, lambda: _with_notes(read_file(self.workspace.log), notes))
        return replace(kept, log_key=key)

    async def _there(self, delivery: _Delivery) -> StoredObject | None:
        try:
            return await self.store.stat(delivery.bucket, delivery.key)
        except NotFound:
            return None

    async def _deliver(self, pair: tuple[_Delivery, StoredObject | None]) -> Delivered:
        delivery, there = pair
        output, bucket, key = delivery.output, delivery.bucket, delivery.key
        job, _ = job_of(self.record.attempt)
        ours = mark(service_uid=self.record.service_uid, job=job, bucket=bucket, key=key)
        if there is None or there.mark != ours or not await _same(there, output):
            kind = mimetypes.guess_type(output.name, strict=False)[0] or "application/octet-stream"
            try:
                there = await self._put(
                    bucket, key, lambda: read_chunks(output.open), content_type=kind, mark=ours
                )
            except TooLarge as problem:
                what = f"{output.printable} has {output.size_bytes} bytes"
                raise TooLarge(f"{what}: {problem.detail}") from problem
        return Delivered(bucket, key, there.size_bytes, there.etag)

    async def _put(
        self,
        bucket: str,
        key: str,
        body: Callable[[], AsyncGenerator[bytes, None]],
        *,
        content_type: str = "application/octet-stream",
        mark: str = "",
    ) -> StoredObject:
        pauses = iter(PAUSES_S)
        while True:
            try:
                async with aclosing(body()) as chunks:
                    return await self.store.put(bucket, key, chunks, content_type=content_type, mark=mark)
            except Unavailable:
                pause_s = next(pauses, None)
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)

    def _notes(self, outputs: Outputs) -> bytes:
        """As entries of the log: what is in the output folder and in no bucket, and why."""
        told = [*outputs.skipped]
        for output in outputs.files:
            if not output.utf8:
                told.append(f"{output.printable}: the name is not UTF-8")
            elif any(
                len(key.encode()) > KEY_LIMIT for _, key in destinations(self.record.service, output.name)
            ):
                told.append(f"{output.printable[:80]}...: the key would have more than {KEY_LIMIT} bytes")
        now = stamp(time.time_ns())
        lines = (" ".join(f"[not stored: {line}]".split()).encode("utf-8", "replace") for line in told)
        return b"".join(entry(now, "stderr", line) for line in lines)


async def _same(there: StoredObject, output: Output) -> bool:
    if there.size_bytes != output.size_bytes:
        return False
    with disk_problems("reading an output"):
        return there.etag == await asyncio.to_thread(_etag, output, like=there.etag)


def _etag(output: Output, *, like: str) -> str:
    with output.open() as file:
        return file_etag(file, like=like)


async def _with_notes(log: AsyncGenerator[bytes, None], notes: bytes) -> AsyncGenerator[bytes, None]:
    async with aclosing(log) as chunks:
        async for chunk in chunks:
            yield chunk
    if notes:
        yield notes
