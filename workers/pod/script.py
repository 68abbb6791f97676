"""The script in the container beside us, seen and ended through its runner's pipes."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from gateway.domain.job import EndReason
from gateway.executors.protocol import Ended
from gateway.staging import layout
from gateway.staging.workspace import Workspace
from workers.pod import places

GRACE_S = 5.0
"""From TERM to KILL; ours, when the pod is told to end, must leave time to report."""
AFTER_EXIT_S = 2.0
"""How long processes that the script left behind may hold on to its output."""
PIECE = 64 << 10

Take = Callable[[bytes], None]
"""Called with each piece that comes through a pipe, and with nothing at its end."""


class Script:
    def __init__(self, workspace: Workspace, *, stdout_limit: int) -> None:
        """In bytes: what is kept of the standard output, as the result of a run without output files."""
        self._workspace = workspace
        self._stdout_limit = stdout_limit
        self._said = b""
        self._began = asyncio.Event()
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()
        self._told = asyncio.Event()
        """The pod was told to end."""

    def tell(self) -> None:
        """The pod has to end."""
        self._told.set()

    async def until_end(self, limit_s: float) -> Ended:
        """Its reason is EXITED, TIME_LIMIT, or INTERRUPTED when the pod was told to end before the script
        did; without an exit code where the container was killed as a whole."""
        with contextlib.ExitStack() as stack:
            self._listen(stack, places.ALIVE, self._hear)
            self._listen(stack, places.STDOUT, self._keeping(stack))
            if await self._either(self._began, None) is not self._began:
                return Ended(EndReason.INTERRUPTED, detail="the pod was told to end before the script began")
            reason = await self._watch(limit_s)
            return Ended(reason, self._code())

    async def _watch(self, limit_s: float) -> EndReason:
        reason = EndReason.EXITED
        first = await self._either(self._exited, limit_s)
        if first is self._exited and self._told.is_set():
            # Both were told to end, and the script was faster.
            reason = EndReason.INTERRUPTED
        elif first is not self._exited:
            reason = EndReason.INTERRUPTED if first is self._told else EndReason.TIME_LIMIT
            self._signal("TERM")
            await _within(self._exited, GRACE_S)
            self._signal("KILL")
        if not await _within(self._gone, AFTER_EXIT_S):
            self._signal("KILL")
            await _within(self._gone, GRACE_S)
        return reason

    async def _either(self, wanted: asyncio.Event, limit_s: float | None) -> asyncio.Event | None:
        """Which came first: what is wanted, that the pod has to end, or (None) the limit."""
        waiting = {asyncio.create_task(event.wait()): event for event in (wanted, self._told)}
        await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        return next((event for event in (wanted, self._told) if event.is_set()), None)

    def _listen(self, stack: contextlib.ExitStack, path: Path, take: Take) -> None:
        """From now on; a FIFO that nobody writes to yet is silent, one whose writers are gone ends."""
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, pipe)
        loop = asyncio.get_running_loop()

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                piece = os.read(pipe, PIECE)
                if not piece:
                    loop.remove_reader(pipe)
                take(piece)

        loop.add_reader(pipe, readable)
        stack.callback(loop.remove_reader, pipe)

    def _hear(self, piece: bytes) -> None:
        self._said += piece
        if self._said:
            self._began.set()
        if b"told\n" in self._said:
            self._told.set()
        if self._code() is not None or not piece:
            self._exited.set()
        if not piece:
            self._gone.set()

    def _code(self) -> int | None:
        """The last word, if all of it was said."""
        last = self._said.splitlines(keepends=True)[-1:]
        return int(last[0]) if last and last[0][:-1].isdigit() and last[0].endswith(b"\n") else None

    def _keeping(self, stack: contextlib.ExitStack) -> Take:
        file = stack.enter_context(self._workspace.stdout.open("wb", buffering=0))
        space = self._stdout_limit

        def keep(piece: bytes) -> None:
            nonlocal space
            if len(piece) > space:
                (self._workspace.root / layout.STDOUT_CUT).touch()
            with contextlib.suppress(OSError):
                file.write(piece[:space])
            space -= min(space, len(piece))

        return keep

    def _signal(self, name: str) -> None:
        """To everything in the script's container but its runner; fine if it is gone."""
        with contextlib.suppress(OSError):
            pipe = os.open(places.STOP, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(pipe, name.encode() + b"\n")
            finally:
                os.close(pipe)


async def _within(event: asyncio.Event, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
