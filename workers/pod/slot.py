"""A slot: one place for a script in the user's container, as seen from beside it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.staging.capture import Kept
from workers.pod.pipes import Pipes

GRACE_S = 5.0
"""From TERM to KILL."""
KILL_LIMIT_S = 10.0
BEGIN_LIMIT_S = 1.0


class SlotLostError(Exception):
    """The user's container ended, and with it whatever ran there."""


@dataclass(frozen=True, slots=True)
class Ran:
    """`memory_kills`: how many of its processes the kernel ended for memory."""

    status: int
    memory_kills: int


class Slot:
    """Takes one order at a time. `on_free` is called whenever it can take the next."""

    def __init__(self, pipes: Path, number: int, *, on_free: Callable[["Slot"], None], used: bool) -> None:
        """`used`: an earlier life of ours may have left a script running in it."""
        self._pipes = Pipes(pipes, number, on_line=self._heard, on_output=self._print, on_end=self._lose)
        self._on_free = on_free
        self._open = False
        self._alone = False
        """Its shell is process 1 of the container: signals need no process id."""
        self._used = used
        self._signals = 0
        """Sent and not yet acknowledged: what follows must not meet the next script."""
        self._report: asyncio.Future[Ran] | None = None
        self._began: asyncio.Future[int] | None = None
        self._stdout: Kept | None = None

    @property
    def open(self) -> bool:
        """Whether the loop in the user's container is there."""
        return self._open

    @property
    def free(self) -> bool:
        return self._open and self._report is None and not self._signals

    def begin(self) -> None:
        """Raises OSError."""
        self._pipes.open()
        if self._used:
            self._signal("KILL", 0)

    def run(self, call: str, name: str, stdout: Kept) -> "asyncio.Future[Ran]":
        """Have the script work on that input file of that call's folder. The future raises SlotLostError."""
        return self._order(f"run {call} {name}", stdout)

    async def unlock(self, call: str) -> None:
        """Let us read and remove all that is in the call's folder. Raises SlotLostError."""
        await self._order(f"open {call}", None)

    async def stop(self) -> None:
        """End the script that runs, and all it started; returns when it is gone."""
        report = self._report
        for signal, wait_s in (("TERM", GRACE_S), ("KILL", KILL_LIMIT_S)):
            if report is None or report.done():
                return
            await self._signal_script(signal)
            await asyncio.wait([report], timeout=wait_s)

    def quit(self) -> None:
        """The loop may end now."""
        if self._open:
            self._pipes.tell("ask", "quit")

    def close(self) -> None:
        self._pipes.close()

    def _order(self, line: str, stdout: Kept | None) -> "asyncio.Future[Ran]":
        loop = asyncio.get_running_loop()
        self._report, self._began, self._stdout = loop.create_future(), loop.create_future(), stdout
        self._pipes.tell("ask", line)
        return self._report

    async def _signal_script(self, signal: str) -> None:
        pid, began = 0, self._began
        if not self._alone and began is not None:
            await asyncio.wait([began], timeout=BEGIN_LIMIT_S)
            pid = began.result() if began.done() else 0
        if self._report is not None:
            self._signal(signal, pid)

    def _signal(self, signal: str, pid: int) -> None:
        self._signals += 1
        self._pipes.tell("stop", f"{signal} {pid}")

    def _heard(self, line: str) -> None:
        match line.split(" "):
            case ["ready", alone]:
                self._open, self._alone = True, alone == "1"
            case ["began", pid] if self._began is not None and not self._began.done():
                self._began.set_result(int(pid))
            case ["end", status, kills]:
                self._pipes.drain()
                self._settle(Ran(int(status), int(kills)))
            case ["sent", _]:
                self._signals = max(0, self._signals - 1)
        if self.free:
            self._on_free(self)

    def _settle(self, ran: Ran) -> None:
        report, self._report, self._stdout = self._report, None, None
        if report is not None and not report.done():
            report.set_result(ran)

    def _print(self, data: bytes) -> None:
        if self._stdout is not None and not self._stdout.full:
            self._stdout.write(data)

    def _lose(self) -> None:
        self._open, self._signals = False, 0
        report, self._report, self._stdout = self._report, None, None
        if report is not None and not report.done():
            report.set_exception(SlotLostError())
