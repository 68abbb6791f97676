"""Following a script from its start to its end: taking what it prints, looking at its limits, ending it when
one is passed."""

import os
import select
import signal
import time

from gateway.staging.capture import Capture
from gateway.staging.log import stamp
from gateway.staging.runner.descendants import KILL_LIMIT_S, end_all, resident_bytes, signal_all
from gateway.staging.runner.order import Exit, Order, read_stop
from gateway.staging.runner.script import Script

LOOK_S = 0.2
"""Between two looks at memory and at requests to stop."""
DRAIN_S = 2.0
"""For what is left in the pipes once every process is gone."""
CHUNK = 64 << 10


class Following:
    """`wake` is a descriptor that becomes readable whenever a child ended."""

    def __init__(self, order: Order, workspace: str, *, script: Script, capture: Capture, wake: int) -> None:
        self._order = order
        self._workspace = workspace
        self._script = script
        self._capture = capture
        self._wake = wake
        self._streams = {script.stdout: "stdout", script.stderr: "stderr"}
        self._poll = select.poll()
        for fd in (*self._streams, wake, *([0] if order.tied else [])):
            self._poll.register(fd, select.POLLIN | select.POLLHUP)
        self._began = time.monotonic()
        self._next_look = self._began + LOOK_S
        self._status: int | None = None
        self._reason = ""
        """Why we end it; "" while it may go on."""
        self._kill_at = float("inf")
        self.interrupted = False
        """Set by whoever gets a signal that tells us to end."""

    def until_end(self) -> Exit:
        """Returns once no process of the script is left and all it printed is kept."""
        while self._status is None and time.monotonic() < self._kill_at + KILL_LIMIT_S:
            self._step(max(0.0, self._next_look - time.monotonic()))
            if time.monotonic() >= self._next_look:
                self._look()
        took_s = time.monotonic() - self._began
        end_all(self._script.pid)
        self._drain()
        self._capture.end(stamp(time.time_ns()))
        return self._exit(took_s)

    def _step(self, timeout_s: float) -> None:
        for fd, _ in self._poll.poll(timeout_s * 1000):
            if fd in self._streams:
                self._read(fd)
            elif fd == self._wake:
                os.read(fd, CHUNK)
                self._reap()
            else:
                self._poll.unregister(fd)
                self._end("interrupted")

    def _read(self, fd: int) -> None:
        data = os.read(fd, CHUNK)
        if data:
            self._capture.take(self._streams[fd], data, stamp(time.time_ns()))
        else:
            self._poll.unregister(fd)
            del self._streams[fd]

    def _reap(self) -> None:
        try:
            while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if found[0] == self._script.pid:
                    self._status = found[1]
        except ChildProcessError:
            pass

    def _look(self) -> None:
        now = time.monotonic()
        self._next_look = now + LOOK_S
        if now >= self._kill_at:
            signal_all(self._script.pid, signal.SIGKILL)
        elif now - self._began >= self._order.limit_s:
            self._end("time-limit")
        elif self.interrupted or not os.access(self._workspace, os.F_OK):
            # Without its workspace nobody will ever ask how it ended.
            self._end("interrupted")
        elif stop := read_stop(self._workspace):
            self._end(stop)
        elif resident_bytes(self._order.memory_bytes) > self._order.memory_bytes:
            self._end("memory-limit", grace_s=0)

    def _end(self, reason: str, *, grace_s: float | None = None) -> None:
        """The first reason stands."""
        if self._reason:
            return
        self._reason = reason
        self._kill_at = time.monotonic() + (self._order.grace_s if grace_s is None else grace_s)
        signal_all(self._script.pid, signal.SIGKILL if grace_s == 0 else signal.SIGTERM)

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN_S
        while self._streams and time.monotonic() < until:
            self._step(0.05)

    def _exit(self, took_s: float) -> Exit:
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        detail = ""
        if code is not None and code < 0:
            # As a shell tells it.
            code, detail = 128 - code, f"ended by {signal.Signals(-code).name}"
        if self._reason:
            return Exit(self._reason, code, "", took_s)
        if self._capture.trouble:
            return Exit(
                "staging", code, f"what it printed could not be kept: {self._capture.trouble}", took_s
            )
        return Exit("exited", code, detail, took_s)
