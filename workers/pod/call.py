"""One call in a synchronous pod: its folder laid out, the script run by the loop beside us, OSCAR's answer
found, and everything of it removed. Small bodies and answers never leave the event loop: a thread costs more
than they do."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from gateway.domain.job import AttemptId, Ending, EndReason, ResultKind
from gateway.domain.problems import StorageFull, TooLarge
from gateway.domain.verdict import describe
from gateway.staging import layout
from gateway.staging.answer import Answer, find_answer, read_answer
from gateway.staging.capture import Kept
from gateway.staging.chunks import read_file, write_file
from gateway.staging.disk import disk_problems
from gateway.staging.outputs import FILES_LIMIT, Outputs, find_outputs
from gateway.staging.payload import stage_body
from gateway.staging.pod_call import RAW_TYPE, PodEnd
from gateway.staging.workspace import Workspace, remove
from workers.pod.slot import Ran, Slot, SlotLostError
from workers.pod.slots import Slots

log = logging.getLogger("pod")

SMALL = 256 << 10
"""Handled without a thread up to this size, bytes."""
Gone = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client went away."""
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a call's output files, and of what it prints."""

    output: int
    stdout: int


@dataclass(frozen=True, slots=True)
class PodAnswer:
    end: PodEnd
    media_type: str
    size_bytes: int
    body: AsyncIterator[bytes]
    ran_s: float = 0.0
    """How long the script ran."""


class PodCall:
    def __init__(self, calls: Path, name: str, slots: Slots, limits: Limits) -> None:
        self._workspace = Workspace(calls / name)
        self._name = name
        self._input = "input/none"
        """The input file, below the folder of the call."""
        self._slots = slots
        self._limits = limits

    async def answer(
        self, body: AsyncIterator[bytes], gone: Gone, *, limit_s: float, raw: bool
    ) -> PodAnswer | None:
        """None when the client went away: `gone` ends then, and the script with it. What `body` raises
        passes through. The answer's body may be read until `discard`."""
        try:
            name = await self._stage(body)
            self._input = f"{layout.INPUT}/{name}"
        except StorageFull as problem:
            return told(PodEnd.STORAGE_FULL, problem.detail)
        try:
            async with self._slots.take(within_s=limit_s) as slot:
                return await self._run(slot, name, gone, limit_s=limit_s, raw=raw)
        except TimeoutError:
            return told(PodEnd.NOT_STARTED, "no free place for this call; nothing was executed")
        except SlotLostError:
            return told(PodEnd.LOST, "the script's container ended while it ran")

    async def discard(self) -> None:
        """All of it, whatever became of the call."""
        try:
            if not self._removed_plainly():
                await asyncio.to_thread(remove, self._workspace.root)
        except OSError as error:
            log.warning("call.left_behind %s: %s", self._name, error)

    def _removed_plainly(self) -> bool:
        """Most calls leave their input and what they printed: no thread is worth that."""
        workspace = self._workspace
        try:
            for path in (workspace.root / self._input, workspace.stdout):
                path.unlink(missing_ok=True)
            for folder in (workspace.input_dir, workspace.output_dir, workspace.root):
                folder.rmdir()
        except OSError:
            return False
        return True

    async def _stage(self, body: AsyncIterator[bytes]) -> str:
        """Lay out the folder and decode the body into it; returns the input file's name. Raises StorageFull,
        Unavailable, what the body raises."""
        workspace = self._workspace
        with disk_problems("preparing the call"):
            for folder in (workspace.root, workspace.input_dir, workspace.output_dir):
                # Our mask is 0: the script may run as anybody.
                folder.mkdir(mode=0o755 if folder == workspace.root else 0o777)
        head = bytearray()
        async for chunk in body:
            head += chunk
            if len(head) > SMALL:
                await write_file(workspace.body, _chain(bytes(head), body))
                with disk_problems("decoding the body"):
                    return await asyncio.to_thread(stage_body, workspace)
        with disk_problems("decoding the body"):
            workspace.body.write_bytes(head)
            return stage_body(workspace)

    async def _run(self, slot: Slot, name: str, gone: Gone, *, limit_s: float, raw: bool) -> PodAnswer | None:
        with disk_problems("preparing the call"):
            stdout = Kept(str(self._workspace.stdout), self._limits.stdout)
        began = perf_counter()
        try:
            ran = await _until(slot, slot.run(self._name, name, stdout), gone, limit_s=limit_s)
        finally:
            stdout.close()
        ran_s = perf_counter() - began
        answer = await self._read(slot, ran, stdout, limit_s=limit_s, raw=raw)
        return None if answer is None else replace(answer, ran_s=ran_s)

    async def _read(
        self, slot: Slot, ran: Ran | EndReason, stdout: Kept, *, limit_s: float, raw: bool
    ) -> PodAnswer | None:
        if isinstance(ran, EndReason):
            line = f"the script was ended after {limit_s:g} s, which is the limit of a call"
            return told(PodEnd.TIME_LIMIT, line) if ran is EndReason.TIME_LIMIT else None
        await self._unlock(slot)
        if ran.status != 0:
            return self._failed(ran)
        if stdout.trouble:
            return told(PodEnd.FAILED, f"what the script printed could not be kept: {stdout.trouble}")
        return await self._found(stdout, raw=raw)

    async def _unlock(self, slot: Slot) -> None:
        """Where the script left anything, it may have left it so that only its own user can read it."""
        workspace = self._workspace
        for folder, expected in ((workspace.input_dir, 1), (workspace.output_dir, 0)):
            if _count(folder) > expected and locked(workspace.root):
                return await slot.unlock(self._name)
        return None

    def _failed(self, ran: Ran) -> PodAnswer:
        """What it printed, as OSCAR has it; or how it ended, where that says more."""
        reason = EndReason.MEMORY_LIMIT if ran.memory_kills else EndReason.EXITED
        size = self._workspace.stdout.stat().st_size
        if size and reason is EndReason.EXITED:
            return PodAnswer(PodEnd.FAILED, TEXT_TYPE, size, read_file(self._workspace.stdout))
        return told(PodEnd.FAILED, describe(Ending(AttemptId(""), reason, ran.status)))

    async def _found(self, stdout: Kept, *, raw: bool) -> PodAnswer:
        try:
            with disk_problems("reading the output"):
                answer = await self._find()
        except TooLarge as problem:
            return told(PodEnd.FAILED, problem.detail)
        if answer.kind is ResultKind.TEXT and stdout.full:
            return told(
                PodEnd.FAILED,
                f"the script printed more than {answer.size_bytes} bytes, which is the limit (LOG_LIMIT)",
            )
        media_type = RAW_TYPE if raw and answer.kind is not ResultKind.TEXT else TEXT_TYPE
        return PodAnswer(PodEnd.ANSWERED, media_type, answer.sent_bytes(raw=raw), _bytes_of(answer, raw=raw))

    async def _find(self) -> Answer:
        """Raises TooLarge, OSError."""
        if not _count(self._workspace.output_dir):
            return find_answer(self._workspace, Outputs(()))
        return await asyncio.to_thread(
            lambda: find_answer(
                self._workspace,
                find_outputs(self._workspace.output_dir, limit_bytes=self._limits.output),
            )
        )


async def _until(slot: Slot, report: "asyncio.Future[Ran]", gone: Gone, *, limit_s: float) -> Ran | EndReason:
    """How the script ended, or why we ended it; then it is gone. Raises SlotLostError."""
    leaving = asyncio.create_task(gone())
    try:
        either: list[asyncio.Future[Any]] = [report, leaving]
        await asyncio.wait(either, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if report.done():
            return report.result()
        reason = EndReason.CANCELLED if leaving.done() else EndReason.TIME_LIMIT
        await slot.stop()
        return reason
    except asyncio.CancelledError:
        await slot.stop()
        raise
    finally:
        leaving.cancel()


def told(end: PodEnd, line: str) -> PodAnswer:
    """One line for people."""
    body = f"{line}\n".encode()
    return PodAnswer(end, TEXT_TYPE, len(body), _chain(body))


def _count(folder: Path) -> int:
    """How much is in it; 0 where the script removed it, something where we may not look."""
    try:
        return sum(1 for _ in folder.iterdir())
    except PermissionError:
        return FILES_LIMIT
    except OSError:
        return 0


def locked(root: Path) -> bool:
    """Whether a script of another user left something that we could not read or remove."""
    us = os.geteuid()
    for folder, _, files in os.walk(root, onerror=None):
        found = os.stat(folder)  # noqa: PTH116
        if found.st_uid != us and found.st_mode & 0o007 != 0o007:
            return True
        for name in files:
            found = os.lstat(os.path.join(folder, name))  # noqa: PTH118  # ten thousand of them
            if found.st_uid != us and not found.st_mode & 0o004:
                return True
    return False


async def _bytes_of(answer: Answer, *, raw: bool) -> AsyncIterator[bytes]:
    if answer.size_bytes <= SMALL and not answer.encoded(raw=raw):
        yield answer.path.read_bytes()
        return
    async for chunk in read_answer(answer, raw=raw):
        yield chunk


async def _chain(first: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    yield first
    if rest is not None:
        async for chunk in rest:
            yield chunk
